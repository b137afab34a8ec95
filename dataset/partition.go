package dataset

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/tabular"
)

// partitions reads columns out of the paths of files.
type partitions struct {
	text    string
	pattern *regexp.Regexp // a group for each part
	schema  tabular.Schema // a column for each key
	parts   []part         // in the order of the groups
}

// part is a group of the pattern.
type part struct {
	column int
	layout string // of a part of a time, in package time's words
}

// reservedKeys are names that files have as columns already.
var reservedKeys = []string{columnPath, columnSize, columnModified, columnExtension, columnCreated, columnCanSeek}

// parsePartitions reads a partition format: "{name}" is a part of a folder's or
// file's name, "{name:yyyy/MM/dd/HH/mm/ss}" a time, "*" anything within a name,
// "{{" and "}}" are braces. Errors: ErrInvalid.
func parsePartitions(text string) (*partitions, error) {
	p := &partitions{text: text}
	bad := func(format string, args ...any) (*partitions, error) {
		return nil, fmt.Errorf("%w: partition format %q: %s", azml.ErrInvalid, text, fmt.Sprintf(format, args...))
	}
	var expr strings.Builder
	for rest := text; rest != ""; {
		switch {
		case strings.HasPrefix(rest, "{{"), strings.HasPrefix(rest, "}}"):
			expr.WriteString(regexp.QuoteMeta(rest[:1]))
			rest = rest[2:]
		case rest[0] == '*':
			expr.WriteString(`[^/]*`)
			rest = rest[1:]
		case rest[0] == '}':
			return bad("a } without {: write }} for the character")
		case rest[0] == '{':
			end := strings.IndexByte(rest, '}')
			if end < 0 || strings.Contains(rest[1:end], "{") {
				return bad("a { without }: write {{ for the character")
			}
			name, form, isTime := strings.Cut(rest[1:end], ":")
			if err := p.key(&expr, name, form, isTime); err != nil {
				return bad("%v", err)
			}
			rest = rest[end+1:]
		default:
			end := strings.IndexAny(rest, "{}*")
			if end < 0 {
				end = len(rest)
			}
			expr.WriteString(regexp.QuoteMeta(rest[:end]))
			rest = rest[end:]
		}
	}
	if len(p.schema) == 0 {
		return bad("it has no key such as {year}")
	}
	p.pattern = regexp.MustCompile(`(?:^|/)` + strings.TrimPrefix(expr.String(), "/") + `$`)
	return p, nil
}

// key adds a key. One that comes again must be the same there, which a second
// group that is compared would be for; it is taken once.
func (p *partitions) key(expr *strings.Builder, name, form string, isTime bool) error {
	switch {
	case name == "":
		return fmt.Errorf("a key has no name")
	case slices.Contains(reservedKeys, name):
		return fmt.Errorf("%q is reserved: use another name", name)
	}
	if at := p.schema.Index(name); at >= 0 {
		expr.WriteString(`[^./\\]+`)
		return nil
	}
	column := len(p.schema)
	if !isTime {
		p.schema = append(p.schema, tabular.Field{Name: name, Type: tabular.String})
		p.parts = append(p.parts, part{column, ""})
		expr.WriteString(`([^./\\]+)`)
		return nil
	}
	if slices.ContainsFunc(p.schema, func(f tabular.Field) bool { return f.Type == tabular.Time }) {
		return fmt.Errorf("there can be one time only")
	}
	p.schema = append(p.schema, tabular.Field{Name: name, Type: tabular.Time})
	return p.time(expr, form, column)
}

// timeWords are the parts of a time: in the format, in package time's words, and
// the number of digits.
var timeWords = []struct {
	word, layout string
}{{"yyyy", "2006"}, {"MM", "01"}, {"dd", "02"}, {"HH", "15"}, {"mm", "04"}, {"ss", "05"}}

func (p *partitions) time(expr *strings.Builder, form string, column int) error {
	if !strings.Contains(form, "yyyy") {
		return fmt.Errorf("the time %q has no yyyy", form)
	}
	for form != "" {
		known := false
		for _, w := range timeWords {
			if strings.HasPrefix(form, w.word) {
				fmt.Fprintf(expr, `([0-9]{%d})`, len(w.word))
				p.parts = append(p.parts, part{column, w.layout})
				form, known = form[len(w.word):], true
				break
			}
		}
		if !known {
			if c := form[0]; c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
				return fmt.Errorf("%q in a time: use yyyy, MM, dd, HH, mm and ss", form)
			}
			expr.WriteString(regexp.QuoteMeta(form[:1]))
			form = form[1:]
		}
	}
	return nil
}

// values reads the keys of a path, as columns of one row. Errors: ErrInvalid,
// naming a path that doesn't fit.
func (p *partitions) values(path string) ([]tabular.Column, error) {
	groups := p.pattern.FindStringSubmatch(path)
	if groups == nil {
		return nil, fmt.Errorf("%w: the path %q does not fit the partition format %q", azml.ErrInvalid, path, p.text)
	}
	columns := make([]tabular.Column, len(p.schema))
	for i, f := range p.schema {
		columns[i] = tabular.NewColumn(f, 1)
	}
	layout, text := "", ""
	at := -1
	for i, part := range p.parts {
		if part.layout == "" {
			columns[part.column].Texts[0] = groups[i+1]
			continue
		}
		layout, text, at = layout+part.layout+" ", text+groups[i+1]+" ", part.column
	}
	if at >= 0 {
		t, err := time.Parse(layout, text)
		if err != nil {
			return nil, fmt.Errorf("%w: the path %q: %q is no time", azml.ErrInvalid, path, strings.TrimSpace(text))
		}
		columns[at].Ints[0] = t.UnixNano()
	}
	return columns, nil
}
