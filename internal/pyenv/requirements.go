package pyenv

import (
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/azml-go/azml"
)

// Limits of requirements files, far above what people write.
const (
	maxFileBytes = 1 << 20
	maxIncludes  = 100
)

// ParseRequirements reads a pip requirements file: requirements with versions,
// extras, markers and hashes, comments, continued lines, options of pip, and
// with -r and -c other files of the folder dir, which are found relative to the
// file that names them and must lie inside dir. With an empty dir such
// includes are refused, as are editable installs (-e) and local files always:
// they are no part of the environment's content. All problems are reported
// together, each with its file and line. Errors: ErrInvalid, ErrNotFound for
// an included file.
func ParseRequirements(data []byte, dir string) (Spec, error) {
	r := &requirementsReader{}
	if dir != "" {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return Spec{}, fmt.Errorf("%w: the folder of the requirements file: %w", azml.ErrNotFound, err)
		}
		defer root.Close()
		r.root = root
	}
	r.read(data, source{name: "requirements"})
	return r.result()
}

// source is the file being read.
type source struct {
	name       string   // for messages and, for an included file, its path in the root
	dir        string   // folder of the file in the root, in slashes
	constraint bool     // its requirements limit only
	parents    []string // the files that include it, outermost first
}

type requirementsReader struct {
	root     *os.Root
	spec     Spec
	problems problems
	missing  error
	includes int
}

func (r *requirementsReader) result() (Spec, error) {
	err := r.problems.err()
	switch {
	case err != nil && r.missing != nil:
		return Spec{}, fmt.Errorf("%w: %w", r.missing, err)
	case err != nil:
		return Spec{}, err
	}
	return r.spec, nil
}

// read reads one file's lines.
func (r *requirementsReader) read(data []byte, from source) {
	for line := range logicalLines(string(data)) {
		if err := r.line(line.text, from); err != nil {
			r.problems.add(fmt.Sprintf("%s, line %d", from.name, line.number), err)
		}
	}
}

// line reads one requirement or one line of options.
func (r *requirementsReader) line(text string, from source) error {
	if !strings.HasPrefix(text, "-") {
		return r.requirement(text, from)
	}
	words, err := splitWords(text)
	if err != nil {
		return err
	}
	options, err := parseOptions(words)
	if err != nil {
		return err
	}
	for _, o := range options {
		if err := r.option(o, from); err != nil {
			return err
		}
	}
	return nil
}

func (r *requirementsReader) requirement(text string, from source) error {
	if _, err := parseRequirement(text); err != nil {
		return err
	}
	if from.constraint {
		r.spec.Constraints = append(r.spec.Constraints, text)
	} else {
		r.spec.Pip = append(r.spec.Pip, text)
	}
	return nil
}

func (r *requirementsReader) option(o option, from source) error {
	switch o.name {
	case "--editable":
		return fmt.Errorf("-e %s is an editable install of a local folder: build a wheel of it, "+
			"or let the script import it from the source folder", o.value)
	case "--requirement":
		return r.include(o.value, from, from.constraint)
	case "--constraint":
		return r.include(o.value, from, true)
	}
	if err := checkOption(o); err != nil {
		return err
	}
	if !slices.Contains(r.spec.PipOptions, o.String()) {
		r.spec.PipOptions = append(r.spec.PipOptions, o.String())
	}
	return nil
}

// include reads another file of the folder.
func (r *requirementsReader) include(name string, from source, constraint bool) error {
	file := path.Join(from.dir, filepath.ToSlash(name))
	switch {
	case strings.Contains(name, "://"):
		return fmt.Errorf("%s is a URL: only files of the same folder can be included", canonicalURL(name))
	case r.root == nil:
		return fmt.Errorf("%s can't be included here: list its requirements instead", name)
	case !filepath.IsLocal(filepath.FromSlash(file)) || path.IsAbs(filepath.ToSlash(name)):
		return fmt.Errorf("%s lies outside the folder of the requirements file", name)
	case slices.Contains(from.parents, file):
		return fmt.Errorf("%s includes itself", file)
	case r.includes >= maxIncludes:
		return fmt.Errorf("more than %d files are included", maxIncludes)
	}
	r.includes++
	data, err := readFile(r.root, filepath.FromSlash(file))
	if err != nil {
		if os.IsNotExist(err) {
			r.missing = azml.ErrNotFound
		}
		return err
	}
	r.read(data, source{name: file, dir: path.Dir(file), constraint: constraint,
		parents: append(slices.Clip(from.parents), file)})
	return nil
}

func readFile(root *os.Root, name string) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(data) > maxFileBytes {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxFileBytes)
	}
	return data, err
}

// logicalLine is a line after joining continued ones.
type logicalLine struct {
	number int // of its first physical line, from 1
	text   string
}

// A comment begins at the line's start or after white space.
var comment = regexp.MustCompile(`(^|\s+)#.*$`)

// logicalLines joins lines that end in a backslash, strips comments, and skips
// empty lines, in pip's own order: a comment ends a continued line.
func logicalLines(data string) func(yield func(logicalLine) bool) {
	return func(yield func(logicalLine) bool) {
		data = strings.TrimPrefix(data, "\ufeff")
		var joined strings.Builder
		first, number := 1, 0
		emit := func() bool {
			text := strings.TrimSpace(comment.ReplaceAllString(joined.String(), ""))
			joined.Reset()
			return text == "" || yield(logicalLine{number: first, text: text})
		}
		for line := range strings.Lines(data) {
			number++
			line = strings.TrimRight(line, "\r\n")
			if joined.Len() == 0 {
				first = number
			}
			before, continued := strings.CutSuffix(line, `\`)
			if continued && !comment.MatchString(line) {
				joined.WriteString(before)
				continue
			}
			joined.WriteString(line)
			if !emit() {
				return
			}
		}
		emit()
	}
}
