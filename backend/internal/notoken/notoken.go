// Package notoken says in one line why Azure's SDK could not get a token.
package notoken

import (
	"regexp"
	"strings"
	"sync"
)

// fromEntra finds what Microsoft Entra ID says in an answer, without what identifies the
// request.
var fromEntra = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`AADSTS[0-9]+: [^"\\\r\n]*`) })

// Reason gives the lines of a credential's error that tell which credentials were tried and
// what each lacks, as one line. The error itself is pages long: it has whole requests and
// answers, each between lines of dashes, and where to read more.
func Reason(err error) string {
	var said []string
	text := err.Error()
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && (len(said) == 0 || strings.Contains(line, "Credential: ") || strings.Contains(line, "Credential authentication")) {
			said = append(said, strings.TrimRight(line, ".: "))
		}
	}
	if answer := fromEntra().FindString(text); answer != "" {
		said = append(said, strings.TrimRight(answer, ". "))
	}
	return strings.Join(said, "; ")
}
