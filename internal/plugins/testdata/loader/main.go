// Command loader is as much of a worker as loads plugins: the files of its command line.
package main

import (
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/stationmaster/worker/internal/plugins"
)

func main() {
	loaded, failed := plugins.Load(os.Args[1:])
	for _, p := range loaded {
		fmt.Println("loaded", p.File, p.Jobs)
	}
	for _, file := range slices.Sorted(maps.Keys(failed)) {
		fmt.Printf("%s: %v\n", file, failed[file])
	}
}
