package pyenv

import (
	"fmt"
	"strings"

	"github.com/azml-go/azml"
)

// BuildError says how making an environment failed. It wraps ErrUnavailable
// when the network or the disk was the reason, so that a later try may work,
// and ErrInvalid otherwise.
type BuildError struct {
	// Phase is what was being done: "venv", "pip install" or "conda create".
	Phase string
	// ExitCode is the tool's exit code, -1 when it was killed or didn't start.
	ExitCode int
	// LastLines are the last lines of the tool's output, without secrets.
	LastLines []string
	// Hint says what to do about it; empty when nothing is known.
	Hint string
	// Class is the error class.
	Class error
	// Cause is what os/exec reported.
	Cause error
}

// Error gives all of it as text, the hint before the lines.
func (e *BuildError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v: %s of the Python environment failed: %v", e.Class, e.Phase, e.Cause)
	if e.Hint != "" {
		b.WriteString(": " + e.Hint)
	}
	for _, line := range e.LastLines {
		b.WriteString("\n\t" + line)
	}
	return b.String()
}

// Unwrap gives the class and the cause.
func (e *BuildError) Unwrap() []error { return []error{e.Class, e.Cause} }

// symptom ties words in a tool's output to a class and a hint.
type symptom struct {
	words string
	class error
	hint  string
}

// Hints that several symptoms share.
const (
	noIndex   = "the package index can't be reached from this machine: check the network and the proxy variables"
	refused   = "the package index refuses the credentials in the index URL"
	noChannel = "a conda channel refuses the credentials, or wants some"
	noVenv    = "this Python can't make virtual environments: install its venv package (on Debian python3-venv)"
	noWheel   = "a package has no ready wheel for this machine and could not be compiled: " +
		"choose a version with a wheel, or install the compiler and headers that the log asks for"
)

// symptoms are tried in order: pip also says "no matching distribution" when
// the index could not be reached, so the network stands first.
var symptoms = []symptom{
	{"no space left on device", azml.ErrUnavailable, "the disk is full: free space or choose another cache folder"},
	{"cannot solve the request", azml.ErrInvalid, "no set of conda packages fits: check names, versions and channels of those that are named"},
	{"could not find subdir", azml.ErrInvalid, "there is no such conda channel: check its name or URL"},
	{"(401 unauthorized)", azml.ErrDenied, noChannel},
	{"(403 forbidden)", azml.ErrDenied, noChannel},
	{"error sending request for url", azml.ErrUnavailable, "a conda channel can't be reached from this machine: check the network and the proxy variables"},
	{"http status server error", azml.ErrUnavailable, "a conda channel has an error of its own: try again"},
	{"temporary failure in name resolution", azml.ErrUnavailable, noIndex},
	{"failed to establish a new connection", azml.ErrUnavailable, noIndex},
	{"connection refused", azml.ErrUnavailable, noIndex},
	{"read timed out", azml.ErrUnavailable, "the package index answers too slowly: try again"},
	{"certificate_verify_failed", azml.ErrUnavailable, "the certificate of the package index is not trusted: check REQUESTS_CA_BUNDLE or PIP_CERT"},
	{"401 error", azml.ErrDenied, refused},
	{"403 client error", azml.ErrDenied, refused},
	{"ensurepip is not available", azml.ErrInvalid, noVenv},
	{"no module named venv", azml.ErrInvalid, noVenv},
	{"resolutionimpossible", azml.ErrInvalid, "the requirements exclude each other: loosen the versions that pip names"},
	{"requires a different python", azml.ErrInvalid, "the package needs another Python version: set the environment's Python version"},
	{"no matching distribution found", azml.ErrInvalid, "a requirement has no version that fits: check its name, its version, the Python version and the index"},
	{"do not match the hashes", azml.ErrInvalid, "the downloaded file is not the one that --hash names: don't install it before knowing why"},
	{"could not build wheels", azml.ErrInvalid, noWheel},
	{"failed to build", azml.ErrInvalid, noWheel},
	{"failed building wheel", azml.ErrInvalid, noWheel},
	{"metadata-generation-failed", azml.ErrInvalid, noWheel},
	{"subprocess-exited-with-error", azml.ErrInvalid, noWheel},
}

// newBuildError finds the reason in the tool's last lines.
func newBuildError(phase string, cause error, lines []string) *BuildError {
	e := &BuildError{Phase: phase, ExitCode: exitCode(cause), LastLines: lines, Class: azml.ErrInvalid, Cause: cause}
	text := strings.ToLower(strings.Join(lines, "\n"))
	for _, s := range symptoms {
		if strings.Contains(text, s.words) {
			e.Class, e.Hint = s.class, s.hint
			break
		}
	}
	return e
}
