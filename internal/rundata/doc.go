// Package rundata gives runs their datasets and takes those that they make: inputs
// by ID, as copies or mounted, outputs stored and registered, both noted in the
// run's record.
package rundata
