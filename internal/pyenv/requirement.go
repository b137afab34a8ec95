package pyenv

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// requirement is one pip requirement, taken apart.
type requirement struct {
	name   string // empty for a bare URL
	extras []string
	specs  []string
	url    string
	marker string
	hashes []string
}

var (
	requirementHead = regexp.MustCompile(`^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[([^\]]*)\])?\s*(.*)$`)
	versionClause   = regexp.MustCompile(`^(===|==|~=|!=|<=|>=|<|>)\s*([A-Za-z0-9][A-Za-z0-9.*+!_-]*)$`)
	extraName       = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)
	hashOption      = regexp.MustCompile(`^--hash[=\s]+([a-z0-9]+:[0-9a-fA-F]+)$`)
	nameSeparators  = regexp.MustCompile(`[-_.]+`)
	urlStart        = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)
	bareURL         = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://\S+$`)
)

// parseRequirement reads a requirement line without comments.
func parseRequirement(line string) (requirement, error) {
	var r requirement
	if strings.ContainsAny(line, "\x00\n\r") {
		return r, errors.New("control characters")
	}
	text, err := r.takeHashes(strings.TrimSpace(line))
	if err != nil {
		return r, err
	}
	if strings.HasPrefix(text, "-") {
		return r, fmt.Errorf("%q is an option, not a requirement", text)
	}
	text, r.marker = cutMarker(text)
	if bareURL.MatchString(text) {
		r.url = text
		return r, nil
	}
	if urlStart.MatchString(text) {
		return r, errors.New("a URL has no white space: write it with %20")
	}
	if isLocalPath(text) {
		return r, fmt.Errorf("%q is a local file, which is no part of the environment and not there on another machine: "+
			"put it on a package index or name its URL as \"name @ https://…\"", text)
	}
	head := requirementHead.FindStringSubmatch(text)
	if head == nil {
		return r, fmt.Errorf("%q is not a requirement such as \"numpy>=1.26\"", text)
	}
	r.name = head[1]
	if err := r.setExtras(head[2]); err != nil {
		return r, err
	}
	return r, r.setVersions(strings.TrimSpace(head[3]))
}

// takeHashes cuts the --hash options off the end of the line.
func (r *requirement) takeHashes(line string) (string, error) {
	at := strings.Index(line, " --")
	if at < 0 {
		return line, nil
	}
	for _, part := range strings.Split(line[at:], " --")[1:] {
		match := hashOption.FindStringSubmatch("--" + strings.TrimSpace(part))
		if match == nil {
			return "", fmt.Errorf("%q: only --hash=algorithm:hex can follow a requirement", "--"+part)
		}
		r.hashes = append(r.hashes, strings.ToLower(match[1]))
	}
	return strings.TrimSpace(line[:at]), nil
}

// cutMarker splits off the environment marker. In a URL a semicolon belongs to
// the URL unless white space stands before it, as PEP 508 rules.
func cutMarker(text string) (rest, marker string) {
	separator := ";"
	if strings.Contains(text, "://") {
		separator = " ;"
	}
	rest, marker, _ = strings.Cut(text, separator)
	return strings.TrimSpace(rest), strings.Join(strings.Fields(marker), " ")
}

func isLocalPath(text string) bool {
	if strings.Contains(text, "@") {
		return false
	}
	lower := strings.ToLower(text)
	return strings.HasPrefix(text, ".") || strings.ContainsAny(text, `/\`) ||
		strings.HasSuffix(lower, ".whl") || strings.HasSuffix(lower, ".tar.gz")
}

func (r *requirement) setExtras(list string) error {
	for extra := range strings.SplitSeq(list, ",") {
		extra = strings.TrimSpace(extra)
		if extra == "" {
			continue
		}
		if !extraName.MatchString(extra) {
			return fmt.Errorf("%q is not the name of an extra", extra)
		}
		r.extras = append(r.extras, extra)
	}
	return nil
}

func (r *requirement) setVersions(text string) error {
	if url, ok := strings.CutPrefix(text, "@"); ok {
		r.url = strings.TrimSpace(url)
		if !bareURL.MatchString(r.url) {
			return fmt.Errorf("after %q and \"@\" a URL is expected", r.name)
		}
		return nil
	}
	if strings.HasPrefix(text, "(") && strings.HasSuffix(text, ")") {
		text = text[1 : len(text)-1]
	}
	if text == "" {
		return nil
	}
	for clause := range strings.SplitSeq(text, ",") {
		match := versionClause.FindStringSubmatch(strings.TrimSpace(clause))
		if match == nil {
			return fmt.Errorf("%q after %q is not a version clause such as \">=1.26\"", strings.TrimSpace(clause), r.name)
		}
		r.specs = append(r.specs, match[1]+match[2])
	}
	return nil
}

// canonical writes the requirement in the one form that is hashed.
func (r requirement) canonical() string {
	var b strings.Builder
	b.WriteString(normalName(r.name))
	if len(r.extras) > 0 {
		b.WriteString("[" + strings.Join(canonicalSet(r.extras, normalName), ",") + "]")
	}
	b.WriteString(strings.Join(canonicalSet(r.specs, strings.ToLower), ","))
	if r.url != "" {
		b.WriteString("@" + canonicalURL(r.url))
	}
	if r.marker != "" {
		b.WriteString(";" + r.marker)
	}
	hashes := slices.Clone(r.hashes)
	slices.Sort(hashes)
	for _, hash := range slices.Compact(hashes) {
		b.WriteString(" --hash=" + hash)
	}
	return b.String()
}

// normalName is the form in which two spellings of a package name are equal
// (PEP 503).
func normalName(name string) string {
	return strings.ToLower(nameSeparators.ReplaceAllString(name, "-"))
}
