package pyenv

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// clause is one condition on a Python version.
type clause struct {
	op    string // "" and "=" match a prefix, as "==" does
	parts []int
}

var pythonClause = regexp.MustCompile(`^(===?|!=|<=|>=|<|>|=|)\s*(\d{1,4}(?:\.\d{1,4}){0,2})(?:\.\*)?$`)

// parseVersions reads the clauses of a Python version.
func parseVersions(text string) ([]clause, error) {
	var out []clause
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		match := pythonClause.FindStringSubmatch(strings.TrimSpace(part))
		if match == nil {
			return nil, fmt.Errorf("%q is not a version such as \"3.11\" or \">=3.9,<3.13\"", text)
		}
		out = append(out, clause{op: match[1], parts: numbers(match[2])})
	}
	return out, nil
}

// numbers reads "3.11.7" as [3 11 7]; what follows other text is left out.
func numbers(version string) []int {
	var out []int
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			break
		}
		out = append(out, n)
	}
	return out
}

// allows tells whether a full version such as [3 11 7] meets the clause.
// Orders are as pip and conda take them: 3.11.7 is more than 3.11.
func (c clause) allows(version []int) bool {
	order := slices.Compare(version, append(slices.Clone(c.parts), 0, 0, 0)[:3])
	same := slices.Equal(version[:min(len(version), len(c.parts))], c.parts)
	switch c.op {
	case "!=":
		return !same
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	case ">=":
		return order >= 0
	default:
		return same
	}
}

// allow tells whether a full version meets all clauses.
func allow(clauses []clause, version string) bool {
	parts := numbers(version)
	for _, c := range clauses {
		if !c.allows(parts) {
			return false
		}
	}
	return true
}

// prefixOf gives "3.11" when the clauses are one plain prefix of at least two
// parts: then the interpreter may be there as python3.11.
func prefixOf(clauses []clause) string {
	if len(clauses) != 1 || len(clauses[0].parts) < 2 {
		return ""
	}
	if op := clauses[0].op; op != "" && op != "=" && op != "==" {
		return ""
	}
	return fmt.Sprintf("%d.%d", clauses[0].parts[0], clauses[0].parts[1])
}
