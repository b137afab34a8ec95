// Package terminal draws for people at a terminal: text that fits and can do
// no harm, sparklines, bars, charts, and a screen that is redrawn in place.
// It draws into strings, so everything but Screen and Keys is tested without a
// terminal.
package terminal
