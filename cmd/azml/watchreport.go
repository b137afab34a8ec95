package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/azml-go/azml/internal/terminal"
	"github.com/azml-go/azml/internal/watch"
	"github.com/azml-go/azml/run"
)

// reporter writes what has changed in lines, each when it happens: it is given
// the state again and again.
type reporter interface {
	status(now time.Time, s *watch.State)  // when the status has changed
	changes(now time.Time, s *watch.State) // once an interval, and before the end
	end(now time.Time, s *watch.State)
	text() *bytes.Buffer
}

// watchReports lets the reporter report until the watcher has ended or ctx has.
func (a *app) watchReports(ctx context.Context, w *watch.Watcher, f *watchFlags, rep reporter) error {
	looks, reports := time.NewTicker(redrawEvery), time.NewTicker(f.interval)
	defer looks.Stop()
	defer reports.Stop()
	var last run.Details
	for ended, due := false, false; ; {
		now := time.Now()
		w.Look(now, func(s *watch.State) {
			if d := s.Details; d.Status != last.Status || d.Reason != last.Reason || d.WaitsFor != last.WaitsFor {
				last = d
				rep.status(now, s)
			}
			if due || ended {
				rep.changes(now, s)
			}
			if ended && s.Details.Status.Terminal() {
				rep.end(now, s)
			}
		})
		if _, err := rep.text().WriteTo(a.stdout); err != nil {
			return err
		}
		if ended || ctx.Err() != nil {
			return nil
		}
		due = false
		select {
		case <-w.Ended():
			ended = true
		case <-looks.C:
		case <-reports.C:
			due = true
		case <-ctx.Done():
		}
	}
}

// news finds what has changed since the last report.
type news struct {
	counts   map[string]int64
	progress watch.Progress
	lines    int
	children map[string]run.Status
}

// metrics calls fn for each of the metrics that has a new value.
func (n *news) metrics(all []*watch.Metric, fn func(m *watch.Metric)) {
	if n.counts == nil {
		n.counts = map[string]int64{}
	}
	for _, m := range all {
		if n.counts[m.Name] != m.Count {
			n.counts[m.Name] = m.Count
			fn(m)
		}
	}
}

// advanced tells whether more is done than at the last report.
func (n *news) advanced(s *watch.State) bool {
	before := n.progress
	n.progress = s.Progress
	return s.Progress.Known() && (before.Done != s.Progress.Done || before.Total != s.Progress.Total || before.Unit != s.Progress.Unit)
}

// output gives the new lines, and how many more there were.
func (n *news) output(s *watch.State) (lines []string, lost int) {
	if s.Output.Count < n.lines { // it is being read anew
		n.lines = 0
	}
	lines, lost = s.Output.Since(n.lines)
	n.lines = s.Output.Count
	return lines, lost
}

// childRuns calls fn for each child run that has a new status, the oldest first.
func (n *news) childRuns(s *watch.State, fn func(d run.Details)) {
	if n.children == nil {
		n.children = map[string]run.Status{}
	}
	for i := len(s.Children) - 1; i >= 0; i-- {
		if d := s.Children[i]; n.children[d.RunID] != d.Status {
			n.children[d.RunID] = d.Status
			fn(d)
		}
	}
}

// textReport writes lines for people.
type textReport struct {
	app    *app
	style  terminal.Style
	buffer bytes.Buffer
	news   news
}

func (r *textReport) text() *bytes.Buffer { return &r.buffer }

func (r *textReport) line(now time.Time, format string, args ...any) {
	fmt.Fprintf(&r.buffer, "%s  %s\n", now.Format(time.TimeOnly), r.style.Text(fmt.Sprintf(format, args...)))
}

func (r *textReport) status(now time.Time, s *watch.State) {
	d := s.Details
	line := string(d.Status)
	if d.Reason != "" {
		line += ": " + d.Reason
	}
	if d.WaitsFor != "" {
		line += "; waits for " + d.WaitsFor
	}
	r.line(now, "%s", line)
}

func (r *textReport) changes(now time.Time, s *watch.State) {
	const mostNamed, longestName = 8, 40
	if r.news.advanced(s) {
		line := progressText(s.Progress)
		for _, m := range s.Machine() {
			if label, percent, ok := machineLabel(m); ok {
				line += fmt.Sprintf(", %s %.0f%%", label, percent)
			}
		}
		r.line(now, "%s", line)
	}
	var values []string
	more := 0
	r.news.metrics(s.Metrics, func(m *watch.Metric) {
		if len(values) == mostNamed {
			more++
			return
		}
		values = append(values, r.style.Fit(m.Name, longestName)+"="+r.style.Fit(metricText(m.Last), longestName))
	})
	if more > 0 {
		values = append(values, "and "+count(more, "more metric"))
	}
	if len(values) > 0 {
		r.line(now, "%s", strings.Join(values, " "))
	}
	r.news.childRuns(s, func(d run.Details) { r.line(now, "child run %s is %s", d.RunID, d.Status) })
	lines, lost := r.news.output(s)
	if lost > 0 {
		r.line(now, "| … %s before, see azml run logs %s", count(lost, "line"), s.Details.RunID)
	}
	for _, line := range lines {
		r.line(now, "| %s", line)
	}
}

func (r *textReport) end(now time.Time, s *watch.State) {
	const mostRows = 60
	page := &runPage{style: r.style, now: now, width: r.app.width(), height: mostRows, still: true}
	page.metrics(s.Metrics, mostRows)
	for _, line := range page.lines {
		fmt.Fprintln(&r.buffer, line)
	}
}

// jsonReport writes each change as a JSON object in a line.
type jsonReport struct {
	app    *app
	buffer bytes.Buffer
	news   news
}

// watchEvent is one change; besides Time and Event it has what belongs to its
// kind.
type watchEvent struct {
	// Time is when it was noticed.
	Time time.Time `json:"time"`
	// Event is the kind: status, progress, metric, output, child or end.
	Event string `json:"event"`
	// RunID is the run, of "child" the child run.
	RunID string `json:"runId"`
	// Status is the new status, of "status" and "child".
	Status run.Status `json:"status,omitempty"`
	// Since is when it began, of "status".
	Since time.Time `json:"statusSince,omitzero"`
	// Reason says why, of "status".
	Reason string `json:"statusReason,omitempty"`
	// WaitsFor says what the run waits for, of "status".
	WaitsFor string `json:"waitsFor,omitempty"`
	// Progress is how far the run is, of "progress".
	Progress *progressView `json:"progress,omitempty"`
	// Metric sums up a metric that has new values, of "metric".
	Metric *run.Summary `json:"metric,omitempty"`
	// Lines are new lines of the output, clean, of "output".
	Lines []string `json:"lines,omitempty"`
	// LeftOut is how many lines before them were left out, of "output".
	LeftOut int `json:"leftOut,omitempty"`
	// Run is the run's record, of "end".
	Run *run.Details `json:"run,omitempty"`
}

// progressView is how far a run is, with what follows from it.
type progressView struct {
	watch.Progress
	// Part is the part that is done, from 0 to 1.
	Part float64 `json:"part,omitempty"`
	// SecondsLeft is how long the rest will take.
	SecondsLeft float64 `json:"secondsLeft,omitempty"`
}

func (r *jsonReport) text() *bytes.Buffer { return &r.buffer }

func (r *jsonReport) event(now time.Time, s *watch.State, e watchEvent) {
	e.Time = now.UTC()
	if e.RunID == "" {
		e.RunID = s.Details.RunID
	}
	encoder := json.NewEncoder(&r.buffer)
	encoder.SetEscapeHTML(false)
	must(encoder.Encode(e))
}

func (r *jsonReport) status(now time.Time, s *watch.State) {
	d := s.Details
	r.event(now, s, watchEvent{Event: "status", Status: d.Status, Since: d.Since, Reason: d.Reason, WaitsFor: d.WaitsFor})
}

func (r *jsonReport) changes(now time.Time, s *watch.State) {
	if p := s.Progress; r.news.advanced(s) {
		part, _ := p.Part()
		r.event(now, s, watchEvent{Event: "progress", Progress: &progressView{p, part, p.Left.Seconds()}})
	}
	for _, metrics := range [][]*watch.Metric{s.Metrics, s.Machine()} {
		r.news.metrics(metrics, func(m *watch.Metric) { r.event(now, s, watchEvent{Event: "metric", Metric: &m.Summary}) })
	}
	r.news.childRuns(s, func(d run.Details) {
		r.event(now, s, watchEvent{Event: "child", RunID: d.RunID, Status: d.Status})
	})
	if lines, lost := r.news.output(s); len(lines) > 0 || lost > 0 {
		r.event(now, s, watchEvent{Event: "output", Lines: lines, LeftOut: lost})
	}
}

func (r *jsonReport) end(now time.Time, s *watch.State) {
	r.event(now, s, watchEvent{Event: "end", Status: s.Details.Status, Run: &s.Details})
}
