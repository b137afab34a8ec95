// Package e2e holds the tests that go through the whole library: the same
// story on every backend, many processes in one workspace, and processes that
// are killed in the middle. It has no product code.
package e2e
