// Package endpoint serves models over HTTP. An endpoint is a record with keys
// in the secret store; a process serves it: the one that deploys it, or any
// other that calls [Client.Serve]. What answers is a Go function in that
// process, or a Python scoring script with init() and run() in child
// processes.
//
// A served endpoint speaks Azure ML's scoring contract:
//
//	GET  /              200 Healthy
//	POST /score         the answer of the function or script
//	GET  /swagger.json  what it takes and gives
//
// Requests carry a key as "Authorization: Bearer <key>"; both keys are valid
// at any time, so that one can be replaced while the other is used. It listens
// on the loopback interface unless told otherwise.
package endpoint
