// Package house holds the rules of the house as tests, and nothing else: which floor a package
// lives on and what it may import from there (DESIGN.md), who may speak to the AWS SDK, how long a
// file may grow, and that the documents name only files that exist. A rule that nobody runs goes
// stale; these run with every `make test`.
package house
