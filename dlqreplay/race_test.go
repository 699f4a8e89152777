//go:build race

package dlqreplay_test

// hundredThousand is less under the race detector, which makes it take minutes.
const hundredThousand = 20_000
