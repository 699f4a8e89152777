//go:build !race

package dlqreplay_test

// hundredThousand is as many as it says.
const hundredThousand = 100_000
