// Package watch follows a run for somebody who looks at it: its status, what
// its metrics come to, the end of its output, how far it is and how long it
// will still take. It keeps as much as fits on a screen, however long the run
// goes on. It changes nothing and draws nothing.
package watch
