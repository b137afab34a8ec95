// Package memory keeps objects and secrets in this process's memory: for tests
// and for workspaces that are thrown away. Nothing survives the process.
package memory
