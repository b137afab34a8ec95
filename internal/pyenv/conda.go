package pyenv

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/azml-go/azml"
)

// ParseConda reads a conda environment file: name, channels and dependencies,
// with `python=3.11` as the Python version, `pip=23.2` as a requirement of pip
// on itself, and the list under `pip:` read as lines of a requirements file of
// the folder dir (see ParseRequirements). Other keys are ignored, as conda
// does. It gives the environment's name, which may be empty, beside the spec.
// All problems are reported together, each with its line. Errors: ErrInvalid,
// ErrNotFound for an included requirements file.
func ParseConda(data []byte, dir string) (name string, spec Spec, err error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return "", Spec{}, fmt.Errorf("%w: conda file: %w", azml.ErrInvalid, err)
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return "", Spec{}, fmt.Errorf("%w: conda file: a mapping with \"dependencies\" is expected", azml.ErrInvalid)
	}
	r := condaReader{dir: dir}
	r.file(doc.Content[0])
	if err := r.problems.err(); err != nil {
		return "", Spec{}, err
	}
	if r.missing != nil {
		return "", Spec{}, r.missing
	}
	return r.name, r.spec, nil
}

type condaReader struct {
	dir      string
	name     string
	spec     Spec
	problems problems
	missing  error
}

func (r *condaReader) fail(n *yaml.Node, err error) {
	r.problems.add(fmt.Sprintf("conda file, line %d", n.Line), err)
}

func (r *condaReader) file(mapping *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		value := resolve(mapping.Content[i+1])
		switch mapping.Content[i].Value {
		case "name":
			r.name = r.text(value)
		case "channels":
			r.list(value, r.channel)
		case "dependencies":
			r.list(value, r.dependency)
		}
	}
}

// list calls one for each element; null is an empty list.
func (r *condaReader) list(n *yaml.Node, one func(*yaml.Node)) {
	switch {
	case n.Kind == yaml.SequenceNode:
		for _, item := range n.Content {
			one(resolve(item))
		}
	case n.Tag != "!!null":
		r.fail(n, errors.New("a list is expected"))
	}
}

func (r *condaReader) text(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		r.fail(n, errors.New("a text is expected"))
		return ""
	}
	if n.Tag == "!!null" {
		return ""
	}
	return strings.TrimSpace(n.Value)
}

func (r *condaReader) channel(n *yaml.Node) {
	channel := r.text(n)
	if err := checkChannel(channel); err != nil {
		r.fail(n, err)
		return
	}
	r.spec.Channels = append(r.spec.Channels, channel)
}

func (r *condaReader) dependency(n *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		if len(n.Content) != 2 || n.Content[0].Value != "pip" {
			r.fail(n, errors.New("besides packages only a list under \"pip:\" is expected"))
			return
		}
		r.list(resolve(n.Content[1]), r.pipLine)
		return
	}
	pkg := joinCondaVersion(r.text(n))
	if err := checkCondaPackage(pkg); err != nil {
		r.fail(n, err)
		return
	}
	name, version := splitConda(pkg)
	switch name {
	case "python":
		r.python(n, version)
	case "pip":
		r.pip(n, version)
	default:
		r.spec.Conda = append(r.spec.Conda, pkg)
	}
}

func (r *condaReader) python(n *yaml.Node, version string) {
	if plain := strings.TrimLeft(version, "="); plain != version {
		version = plain
		if !strings.Contains(version, ",") { // a build may follow, such as "=h1234"
			version, _, _ = strings.Cut(version, "=")
		}
	}
	if _, err := parseVersions(version); err != nil {
		r.fail(n, err)
		return
	}
	r.spec.PythonVersion = strings.TrimSuffix(version, ".*")
}

// pip turns a version of pip itself into a requirement, as pip can replace
// itself.
func (r *condaReader) pip(n *yaml.Node, version string) {
	exact, isExact := strings.CutPrefix(version, "==")
	prefix, isPrefix := strings.CutPrefix(version, "=")
	switch {
	case version == "":
		return
	case isExact:
		version = "==" + exact
	case isPrefix:
		prefix, _, _ = strings.Cut(prefix, "=")
		version = "==" + strings.TrimSuffix(prefix, ".*") + ".*"
	}
	if _, err := parseRequirement("pip" + version); err != nil {
		r.fail(n, err)
		return
	}
	r.spec.Pip = append(r.spec.Pip, "pip"+version)
}

func (r *condaReader) pipLine(n *yaml.Node) {
	part, err := ParseRequirements([]byte(r.text(n)), r.dir)
	if err != nil {
		if errors.Is(err, azml.ErrNotFound) {
			r.missing = err
			return
		}
		r.fail(n, errors.New(strings.TrimPrefix(err.Error(), azml.ErrInvalid.Error()+": ")))
		return
	}
	r.spec.Pip = append(r.spec.Pip, part.Pip...)
	r.spec.Constraints = append(r.spec.Constraints, part.Constraints...)
	r.spec.PipOptions = append(r.spec.PipOptions, part.PipOptions...)
}

// resolve follows an alias to the node it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

var (
	condaPackage  = regexp.MustCompile(`^(?:[A-Za-z0-9][A-Za-z0-9._/:-]*::)?[A-Za-z0-9_][A-Za-z0-9._-]*(?:(?:[=<>!~]=?|==)[A-Za-z0-9.*+!_<>=,|~-]+)?$`)
	condaVersion  = regexp.MustCompile(`\s*([=<>!~]+)\s*`)
	condaChannel  = regexp.MustCompile(`^[A-Za-z0-9][^\s]*$`)
	versionStarts = "=<>!~"
)

// joinCondaVersion writes "numpy 1.26" and "numpy >= 1.26" without spaces.
func joinCondaVersion(pkg string) string {
	pkg = condaVersion.ReplaceAllString(strings.TrimSpace(pkg), "$1")
	fields := strings.Fields(pkg)
	if len(fields) > 1 && !strings.ContainsAny(fields[0], versionStarts) {
		return fields[0] + "=" + strings.Join(fields[1:], "=")
	}
	return strings.Join(fields, "")
}

func checkCondaPackage(pkg string) error {
	if !condaPackage.MatchString(joinCondaVersion(pkg)) {
		return fmt.Errorf("%q is not a conda package such as \"cudatoolkit=11.8\"", pkg)
	}
	if strings.HasPrefix(pkg, "defaults::") {
		return fmt.Errorf("%q: defaults stands for several channels: list it as a channel, or name one of them before the package", pkg)
	}
	return nil
}

func checkChannel(channel string) error {
	if !condaChannel.MatchString(channel) {
		return fmt.Errorf("%q is not a conda channel such as \"conda-forge\"", channel)
	}
	return nil
}

// splitConda splits a package into its name, without channel, and version.
func splitConda(pkg string) (name, version string) {
	if _, rest, found := strings.Cut(pkg, "::"); found {
		pkg = rest
	}
	if at := strings.IndexAny(pkg, versionStarts); at >= 0 {
		return strings.ToLower(pkg[:at]), pkg[at:]
	}
	return strings.ToLower(pkg), ""
}
