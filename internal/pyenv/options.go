package pyenv

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// option is one option of pip with its long name.
type option struct {
	name  string
	value string
}

// String writes the option as one line of a requirements file.
func (o option) String() string {
	if o.value == "" {
		return o.name
	}
	return o.name + " " + quoteWord(o.value)
}

// shortOptions maps pip's short names to the long ones.
var shortOptions = map[string]string{
	"-i": "--index-url", "--pypi-url": "--index-url", "-f": "--find-links",
	"-r": "--requirement", "-c": "--constraint", "-e": "--editable",
}

// specOptions are the options that a spec can hold, true for those with a
// value. They are the ones pip reads in a requirements file and that say where
// packages come from or which of their files are taken.
var specOptions = map[string]bool{
	"--index-url": true, "--extra-index-url": true, "--find-links": true,
	"--trusted-host": true, "--no-binary": true, "--only-binary": true,
	"--no-index": false, "--pre": false, "--prefer-binary": false, "--require-hashes": false,
}

// fileOptions are options that are resolved when a file is read.
var fileOptions = map[string]bool{"--requirement": true, "--constraint": true, "--editable": true}

// parseOptions reads the options of one line.
func parseOptions(words []string) ([]option, error) {
	var out []option
	for len(words) > 0 {
		name, value, joined := strings.Cut(words[0], "=")
		words = words[1:]
		if long, ok := shortOptions[name]; ok {
			name = long
		}
		takesValue, known := specOptions[name]
		if !known {
			takesValue, known = fileOptions[name], fileOptions[name]
		}
		switch {
		case !known:
			return nil, fmt.Errorf("%q is not an option that an environment can have", name)
		case takesValue && !joined && len(words) > 0:
			value, words = words[0], words[1:]
		case !takesValue && joined:
			return nil, fmt.Errorf("%s takes no value", name)
		}
		if takesValue && value == "" {
			return nil, fmt.Errorf("%s needs a value", name)
		}
		out = append(out, option{name: name, value: value})
	}
	return out, nil
}

// checkOptionLine checks one line of Spec.PipOptions.
func checkOptionLine(line string) error {
	words, err := splitWords(line)
	if err != nil {
		return err
	}
	options, err := parseOptions(words)
	if err != nil {
		return err
	}
	if len(options) != 1 {
		return errors.New("one option a line is expected")
	}
	return checkOption(options[0])
}

// checkOption refuses what would mean something else on another machine.
func checkOption(o option) error {
	switch {
	case strings.ContainsAny(o.value, "\x00\n\r"), strings.Contains(o.value, `"`) && strings.Contains(o.value, "'"):
		return fmt.Errorf("the value of %s has characters that can't be written in a requirements file", o.name)
	case fileOptions[o.name]:
		return fmt.Errorf("%s is only possible in a requirements file", o.name)
	case o.name == "--find-links" && !strings.Contains(o.value, "://") && !filepath.IsAbs(o.value):
		return fmt.Errorf("--find-links %s is a relative path, which means nothing on another machine: "+
			"give a URL or an absolute path", o.value)
	}
	return nil
}
