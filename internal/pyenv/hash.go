package pyenv

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// canonical is the form of a spec that is hashed. Field names and order are
// part of the hash, so they never change without a new schema name.
type canonical struct {
	Schema      string   `json:"schema"`
	Python      string   `json:"python"`
	Pip         []string `json:"pip"`
	Constraints []string `json:"constraints"`
	Options     []string `json:"options"`
	Conda       []string `json:"conda"`
	Channels    []string `json:"channels"`
	Interpreter string   `json:"interpreter"`
}

// Hash gives the content hash: SHA-256 in lower case hex over a canonical
// form. Spelling (white space, case and "-_." of package names, order of
// version clauses), the order of packages, and duplicates don't change it, nor
// do credentials in URLs, so that a changed password needs no new environment.
// It needs no valid spec: what can't be understood counts as written.
func (s Spec) Hash() string {
	c := canonical{Schema: "azml.pyenv/1"}
	if s.UserManaged {
		c.Interpreter = s.interpreter()
	} else {
		c.Python = canonicalVersion(s.PythonVersion)
		c.Pip = canonicalSet(s.Pip, canonicalRequirement)
		c.Constraints = canonicalSet(s.Constraints, canonicalRequirement)
		c.Options = canonicalList(s.PipOptions, canonicalOption)
		c.Conda = canonicalSet(s.Conda, canonicalConda)
		c.Channels = canonicalList(s.Channels, canonicalURL)
	}
	data, err := json.Marshal(c)
	if err != nil {
		panic("pyenv: strings can't be marshalled: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// canonicalList maps every line, keeping order, and is never nil.
func canonicalList(lines []string, one func(string) string) []string {
	out := make([]string, 0, len(lines))
	for _, line := range lines {
		out = append(out, one(line))
	}
	return out
}

// canonicalSet is canonicalList sorted and without duplicates.
func canonicalSet(lines []string, one func(string) string) []string {
	out := canonicalList(lines, one)
	slices.Sort(out)
	return slices.Compact(out)
}

func canonicalVersion(text string) string {
	clauses := strings.Split(strings.Join(strings.Fields(text), ""), ",")
	slices.Sort(clauses)
	return strings.Join(slices.Compact(clauses), ",")
}

func canonicalRequirement(line string) string {
	r, err := parseRequirement(line)
	if err != nil {
		return strings.Join(strings.Fields(line), " ")
	}
	return r.canonical()
}

func canonicalOption(line string) string {
	words, err := splitWords(line)
	if err != nil {
		return strings.TrimSpace(line)
	}
	options, err := parseOptions(words)
	if err != nil || len(options) != 1 {
		return strings.Join(words, " ")
	}
	options[0].value = canonicalURL(options[0].value)
	return options[0].String()
}

func canonicalConda(pkg string) string {
	return strings.ToLower(joinCondaVersion(pkg))
}

// urlWithUser finds the user information of the URLs in a text.
var urlWithUser = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)([^/?#@\s]+)@`)

// canonicalURL takes credentials out of a URL; other text stays as it is.
func canonicalURL(text string) string {
	text = strings.TrimSpace(urlWithUser.ReplaceAllString(text, "$1"))
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return text
	}
	return strings.TrimSuffix(u.String(), "/")
}
