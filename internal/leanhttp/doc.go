// Package leanhttp is an HTTP/1.1 client for short requests and answers that fit in memory, such as
// those of SQS. It does with two system calls and no goroutine what net/http does with a handful of
// each: a request leaves in one write, an answer is read by whoever waits for it.
//
//	Do, Exchange ──▶ pool: idle? ──▶ still open? ──▶ write once ──▶ read ──▶ back to the pool
//	      │                              │ no: dial
//	      └─ proxy, HTTP/2, streams, redirects, anything unusual ──▶ the fallback: net/http
//
// What a request may rely on is what it has there: the transport's dialer, TLS configuration and
// timeouts, and the context, whose end closes the connection. A request is never sent twice: it goes
// to another connection only when not one byte of it has been written.
package leanhttp
