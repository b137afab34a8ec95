package collect

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/azml-go/azml"
)

// Columns are the columns that stand before those of the rows, Azure ML's names.
var Columns = []string{"$aml_dc_correlation_id", "$aml_dc_scoring_timestamp", "$aml_dc_boundary", "$aml_workspace", "$aml_service_name",
	"$aml_deployment_name", "$aml_model_name", "$aml_model_version", "$aml_request_id"}

// boundary is for how many minutes rows lie in one folder: a day.
const boundary = "1440"

// place is where rows go that have the same columns.
type place struct {
	origin           Origin
	collection, file string
	day              string
}

func (p *place) path(collector string, number int) string {
	return path.Join(p.origin.folder(), p.collection, p.day, fmt.Sprintf("%s-%s-%06d.csv", p.file, collector, number))
}

// split gives the indexes of those of Columns, and those of the others. Only rows of the
// stand-in have some of Columns.
func split(columns []string) (own map[string]int, rest []int) {
	own = map[string]int{}
	for i, name := range columns {
		if slices.Contains(Columns, name) {
			own[name] = i
		} else {
			rest = append(rest, i)
		}
	}
	return own, rest
}

func picked(from []string, indexes []int) []string {
	out := make([]string, len(indexes))
	for i, at := range indexes {
		out[i] = from[at]
	}
	return out
}

// set takes what a row of the stand-in says in one of Columns, whose add_correlations
// writes them. Nothing, and a time that is none, say nothing. Where rows come from is never
// taken from a row, for scripts make rows of what their clients send.
func (r *Rows) set(column, value string) {
	if value == "" {
		return
	}
	switch column {
	case "$aml_dc_correlation_id":
		r.CorrelationID = value
	case "$aml_dc_scoring_timestamp":
		if at, err := time.Parse("2006-01-02T15:04:05", strings.TrimSuffix(value, "Z")); err == nil {
			r.Time = at
		}
	case "$aml_request_id":
		r.RequestID = value
	}
}

// segment is what a script may name folders and files.
var segment = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}$`) })

// check tells what of the rows' names can't be one of a folder or file.
func (r *Rows) check() error {
	for _, one := range []struct{ what, name string }{{"workspace", r.Origin.Workspace}, {"service", r.Origin.Service}, {"deployment", r.Origin.Deployment},
		{"model", r.Origin.Model}, {"model version", r.Origin.Version}, {"collection name", r.File}} {
		if one.name != "" && !segment().MatchString(one.name) {
			return fmt.Errorf("%w: %s %.60q: use 1 to 255 letters, digits, '.', '_' or '-', the first a letter or digit", azml.ErrInvalid, one.what, one.name)
		}
	}
	return nil
}

// prefix gives the values of Columns.
func prefix(r *Rows) []string {
	o := &r.Origin
	return []string{r.CorrelationID, r.Time.UTC().Format(time.RFC3339Nano), boundary, o.Workspace, o.Service, o.Deployment, o.Model, o.Version, r.RequestID}
}
