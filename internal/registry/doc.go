// Package registry is the model registry: the records of registered models and
// of their versions, aliases, stages, and the files that versions keep. Package
// model shows it to users, and the MLflow interface to clients; so both follow
// the same rules.
//
// A registered model is a record of its own, which is there before its first
// version. A version's number is taken by creating its record; see core.Allot.
// Deleting leaves the records behind, marked, so that no number is given twice.
package registry
