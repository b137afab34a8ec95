// Package endpoint serves models over HTTP. An endpoint is a record of what is
// to be served: deployments, and which share of the requests each gets. Any
// number of processes serve it, those that deploy and any others that call
// [Client.Serve], and follow what is changed. What answers is a Go function in
// such a process, a model that a [Runtime] has loaded into it, or a Python scoring
// script with init() and run() in child processes. A new deployment is started and tried before it gets traffic, and
// what it replaces goes on until then.
//
// A served endpoint speaks Azure ML's scoring contract:
//
//	GET  /              200 Healthy
//	POST /score         the answer of the function or script
//	GET  /swagger.json  what it takes and gives
//
// The header azureml-model-deployment, or a path below /versions/<deployment>,
// picks a deployment. Requests carry a key or a token as "Authorization: Bearer
// <key>"; both keys are valid at any time, so that one can be replaced while the
// other is used. It listens on the loopback interface unless told otherwise.
package endpoint
