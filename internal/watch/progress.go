package watch

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/azml-go/azml/run"
)

// Progress says how far a run is. The zero Progress says that this is not known.
type Progress struct {
	// Done is how many units are done, a part from 0 to 1 when Unit is empty.
	Done float64 `json:"done"`
	// Total is how many there are, 0 when that is not known.
	Total float64 `json:"total,omitempty"`
	// Unit is "steps", "epochs", or empty.
	Unit string `json:"unit,omitempty"`
	// Rate is how many are done in a second of late, 0 when not known.
	Rate float64 `json:"perSecond,omitempty"`
	// Left is how long the rest will take at this rate, 0 when not known.
	Left time.Duration `json:"-"`
}

// Known tells whether there is something to say.
func (p Progress) Known() bool { return p.Done > 0 || p.Total > 0 }

// Part gives the part that is done, from 0 to 1; ok is false when it is not
// known.
func (p Progress) Part() (part float64, ok bool) {
	if p.Total <= 0 {
		return 0, false
	}
	return min(p.Done/p.Total, 1), true
}

// The metrics that say how far a run is.
const (
	progressMetric = "progress"
	epochMetric    = "epoch"
)

// The names of parameters, tags and arguments that say how long a run is, in
// the order of their weight.
var (
	stepNames  = []string{"max_steps", "total_steps", "num_train_steps", "num_steps", "n_steps", "steps", "num_iterations", "max_iterations", "iterations", "max_iters", "num_boost_round", "n_estimators"}
	epochNames = []string{"num_train_epochs", "max_epochs", "num_epochs", "total_epochs", "n_epochs", "epochs"}
)

// counter counts the steps of a run.
type counter struct {
	steps, epochs, progress track
	zero                    map[string]bool // metrics that have had step 0 alone
	fromZero                bool            // one of them went on: its steps begin with 0
}

func (c *counter) add(m run.Metric) {
	if strings.HasPrefix(m.Name, run.SystemPrefix) {
		return
	}
	switch {
	case c.fromZero:
	case m.Step > 0 && c.zero[m.Name]:
		c.fromZero, c.zero = true, nil
	case m.Step == 0:
		if c.zero == nil {
			c.zero = map[string]bool{}
		}
		c.zero[m.Name] = true
	}
	c.steps.add(m.Time, float64(m.Step))
	v, ok := m.Number()
	switch {
	case !ok || v < 0 || math.IsInf(v, 0):
	case m.Name == epochMetric:
		c.epochs.add(m.Time, v)
	case m.Name == progressMetric && v <= 1:
		c.progress.add(m.Time, v)
	}
}

// estimate says how far the run is: by the number of steps that the user gave,
// by the metric "progress", by a number of steps that the run names, or by a
// number of epochs. A number that the steps have passed was meant otherwise.
func (c *counter) estimate(d *run.Details, steps int64, now time.Time) Progress {
	if !d.Ended.IsZero() {
		now = d.Ended
	}
	counted := func(unit string, total float64) Progress { return c.steps.progress(unit, total, c.fromZero, now) }
	if steps > 0 {
		return counted("steps", float64(steps))
	}
	if !c.progress.empty() {
		return c.progress.progress("", 1, false, now)
	}
	if total := named(d, stepNames); total > 0 && c.steps.reached() <= total {
		return counted("steps", total)
	}
	total := named(d, epochNames)
	switch {
	case total > 0 && !c.epochs.empty() && c.epochs.reached() <= total:
		return c.epochs.progress("epochs", total, false, now)
	case total > 0 && c.epochs.empty() && c.steps.reached() <= total:
		return counted("epochs", total)
	}
	return counted("steps", 0)
}

// named finds the first of the names among parameters, tags and arguments, and
// gives its number, 0 when there is none.
func named(d *run.Details, names []string) float64 {
	words := slices.Concat(d.Command, d.Arguments)
	params, tags := numbers(d.Params), numbers(d.Tags)
	for _, name := range names {
		for _, n := range []float64{params[name], tags[name], argument(words, name)} {
			if n > 0 {
				return n
			}
		}
	}
	return 0
}

// numbers gives the labels that are positive numbers, by bare name. Of two of
// one bare name the last counts, by order of the whole names.
func numbers(labels map[string]string) map[string]float64 {
	found := map[string]float64{}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if n := positive(labels[key]); n > 0 {
			found[bare(key)] = n
		}
	}
	return found
}

// argument finds "--name 5" or "--name=5".
func argument(words []string, name string) float64 {
	for i, word := range words {
		flag, value, ok := strings.Cut(word, "=")
		if !strings.HasPrefix(flag, "-") && !ok || bare(strings.TrimLeft(flag, "-")) != name {
			continue
		}
		if !ok && i+1 < len(words) {
			value = words[i+1]
		}
		if n := positive(value); n > 0 {
			return n
		}
	}
	return 0
}

// bare gives the last part of a name such as "trainer/max-epochs", as Python
// writes it.
func bare(name string) string {
	name = name[strings.LastIndexAny(name, "/.")+1:]
	return strings.ReplaceAll(strings.ToLower(name), "-", "_")
}

func positive(text string) float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n > 0) || math.IsInf(n, 0) {
		return 0
	}
	return n
}

// track remembers when a number that grows had which values, in bounded memory.
type track struct{ marks []mark }

// mark is a value with its time and how many came before.
type mark struct {
	at    time.Time
	value float64
	n     int
}

const mostMarks = 256

func (t *track) empty() bool { return len(t.marks) == 0 }

// reached gives the greatest value, 0 when there is none.
func (t *track) reached() float64 {
	if t.empty() {
		return 0
	}
	return t.marks[len(t.marks)-1].value
}

func (t *track) add(at time.Time, value float64) {
	n := 0
	if len(t.marks) > 0 {
		last := t.marks[len(t.marks)-1]
		if !(value > last.value) || at.Before(last.at) {
			return
		}
		n = last.n + 1
	}
	if len(t.marks) == mostMarks { // every second one goes, but the last stays
		for i := range mostMarks / 2 {
			t.marks[i] = t.marks[2*i+1]
		}
		t.marks = t.marks[:mostMarks/2]
	}
	t.marks = append(t.marks, mark{at, value, n})
}

// progress says how far the number is, by the rate of the later half of it.
func (t *track) progress(unit string, total float64, fromZero bool, now time.Time) Progress {
	if t.empty() {
		return Progress{Total: total, Unit: unit}
	}
	first, last := t.marks[0], t.marks[len(t.marks)-1]
	p := Progress{Done: last.value, Total: total, Unit: unit}
	if fromZero && last.value > 0 && (total == 0 || last.value < total) {
		p.Done++ // counted from 0: the step of that number is done
	}
	half, _ := slices.BinarySearchFunc(t.marks, first.value+(last.value-first.value)/2, func(m mark, v float64) int { return cmp.Compare(m.value, v) })
	from := t.marks[max(0, min(half, len(t.marks)-2))]
	if p.Rate = rate(from, last, now); p.Rate > 0 && total > 0 {
		seconds := (total-p.Done)/p.Rate - max(0, now.Sub(last.at).Seconds())
		p.Left = time.Duration(min(max(seconds, 0), float64(math.MaxInt64)/float64(2*time.Second)) * float64(time.Second))
	}
	return p
}

// rate gives the growth in a second. When more time has gone by since the last
// value than lies between two of them, the rate falls.
func rate(from, last mark, now time.Time) float64 {
	took := last.at.Sub(from.at)
	if took <= 0 {
		return 0
	}
	interval := took / time.Duration(last.n-from.n)
	if waiting := now.Sub(last.at) - 2*interval; waiting > 0 {
		took += waiting
	}
	return (last.value - from.value) / took.Seconds()
}
