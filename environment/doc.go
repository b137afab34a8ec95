// Package environment describes what a script needs: a Python version and
// packages, and environment variables. A [Spec] is a plain value; registering
// it stores a version that never changes. An environment is known by the hash
// of its content: the same packages under another name are the same
// environment and are built once per machine.
package environment
