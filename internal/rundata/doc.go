// Package rundata gives runs their datasets and takes those that they make: inputs
// by ID, as copies or mounted, outputs stored and registered, both noted in the
// run's record. It also says what a run on another machine reaches of them.
package rundata
