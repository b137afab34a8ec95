// Package core is what all subjects stand on: the opened workspace as a
// [Handle], records changed by compare-and-swap, version numbers allotted
// exactly once, the audit log, the rules for names, and the wrapping of errors.
// It does once, above every backend, what would otherwise be done in each.
package core
