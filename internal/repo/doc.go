// Package repo holds the tests of the repository itself: who may import whom,
// what a program that imports the library links, that everything exported is
// documented, and what may not stand in a tracked file. It has no code of its
// own. Each rule is a function from a parsed module to a list of problems, so
// that every rule is itself tested on a small bad module.
package repo
