// Package plugins builds jobs as Go plugins, loads them, and says why one does not fit.
//
// A plugin is code of this process: it is as free as the worker itself, and once loaded it stays until
// the process ends. The Go runtime takes it only if the toolchain, the flags and the sources of every
// shared package are the worker's own; the build information in both files says which of them differs.
package plugins
