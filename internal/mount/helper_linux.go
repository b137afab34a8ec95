package mount

import (
	"errors"
	"fmt"
	"os/exec"
)

// lazily unmounts through the program that lets users do so.
func lazily(at string) error {
	var failures []error
	for _, program := range []string{"fusermount3", "fusermount"} {
		out, err := exec.Command(program, "-u", "-z", "--", at).CombinedOutput() //nolint:noctx // a fixed program, done in a moment
		if err == nil {
			return nil
		}
		failures = append(failures, fmt.Errorf("%s: %w: %s", program, err, out))
	}
	return errors.Join(failures...)
}
