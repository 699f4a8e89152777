//go:build !linux

package dlqreplay

func forget(disk, int64, int64) {}
