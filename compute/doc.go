// Package compute names the targets that scripts run on and models are hosted
// on. The target "local" is this machine; it is always there and has no
// record. Others are records that say what is attached and where.
package compute
