// Package scoring is the HTTP side of a web service and the host of the code
// behind it. A [Server] speaks the scoring contract (GET /, /score and
// /swagger.json, JSON errors, request ids, keys, limits) in front of one or
// more [Scorer] values: a Go function ([Handler]), a plain HTTP handler
// ([HTTP]) or an existing Python scoring script with init() and run()
// ([StartPython]).
//
// The server owns the HTTP work, the queue and the time limits; a scorer sees
// one whole request at a time. A Python script runs in a worker process that
// is fed over pipes, so it needs no web framework, and a script that hangs is
// stopped on every platform by ending its process.
package scoring
