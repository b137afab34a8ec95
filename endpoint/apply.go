package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/router"
	"github.com/azml-go/azml/internal/scoring"
	"github.com/azml-go/azml/internal/tail"
	"github.com/azml-go/azml/model"
)

// running is a deployment that was started in this process.
type running struct {
	deployment *scoring.Deployment
	dir        *workDir      // of a script; nil for a Go function
	collects   *collection   // nil when nothing is collected
	said       tail.Tail     // what its replicas have written to their log
	longest    time.Duration // that one request takes
}

// apply serves what the record says is current, and starts and tries what is to
// be. It returns when requests meet what they should, and says what that is. Errors: those of starting
// what is current, ErrUnavailable of the store; that something new does not
// start is none but for a first start, and noted in the record.
func (s *host) apply(ctx context.Context, r *record.Endpoint) (target string, err error) {
	if r.Current != nil {
		if _, err := s.ensure(ctx, r.Current); err != nil {
			return "", err
		}
		if err := s.route(ctx, r.Current); err != nil {
			return "", err
		}
	}
	if r.Candidate == nil {
		s.retire(ctx, r.Current)
		return targetOf(r), nil
	}
	if lacks := s.lacks(r.Candidate); lacks != "" {
		return targetOf(r), s.decline(ctx, r.Candidate, lacks)
	}
	return s.try(ctx, r)
}

// decline says that this process can't try the candidate: another program does.
func (s *host) decline(ctx context.Context, next *record.EndpointRevision, reason string) error {
	s.note("what is new is left to others: %s", reason)
	return s.tell(ctx, func(status *record.EndpointHost) {
		status.Declined = &record.DeclinedRevision{ID: next.ID, Reason: reason}
	})
}

// try starts what is new in the candidate, sends the sample requests, and makes
// it current, or notes why not.
func (s *host) try(ctx context.Context, r *record.Endpoint) (target string, err error) {
	next := r.Candidate
	id, err := s.ensure(ctx, next)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", s.failed(ctx, r, id, err)
	}
	s.flushLog(ctx)
	stored, err := core.Update(ctx, s.c.h, ref(s.name), core.Updated(next.Note+" is served"), func(now *record.Endpoint) error {
		if now.Candidate == nil || now.Candidate.ID != next.ID {
			return core.ErrNoChange // another process was faster, or another change has come
		}
		promote(now, *now.Candidate)
		now.Candidate = nil
		if now.Failure != nil && now.Failure.Deployment == "" { // else it tells of one that was tried beside these
			now.Failure = nil
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	now := &stored.Value
	if now.Current == nil || now.Current.ID != next.ID {
		return "", nil // what is to be served now is looked at next
	}
	if err := s.route(ctx, now.Current); err != nil {
		return "", err
	}
	s.retire(ctx, now.Current)
	return targetOf(now), nil
}

// failed notes that a deployment of the candidate could not be started. It gives the error
// when nothing is served and nothing else is to be tried, or when that was the store's fault, so that it is to be tried again.
func (s *host) failed(ctx context.Context, r *record.Endpoint, id string, cause error) error {
	if started := new(startFailure); !errors.As(cause, &started) && errors.Is(cause, azml.ErrUnavailable) {
		return cause
	}
	s.note("deployment failed: %v", cause)
	s.flushLog(ctx)
	now, err := s.reject(ctx, r.Candidate, id, cause)
	if err != nil {
		return err
	}
	s.progress(ctx, "")
	if now.Candidate != nil {
		return nil // it is tried next
	}
	s.retire(ctx, now.Current)
	if now.Current == nil {
		return cause
	}
	return nil
}

// reject notes why a deployment of the candidate is not served, and gives what is left.
func (s *host) reject(ctx context.Context, next *record.EndpointRevision, id string, cause error) (*record.Endpoint, error) {
	stored, err := core.Update(ctx, s.c.h, ref(s.name), core.Updated(next.Note+" failed"), func(now *record.Endpoint) error {
		if !now.Tries(id) {
			return core.ErrNoChange
		}
		withdraw(now, id)
		now.Failure = &record.EndpointFailure{Revision: next.ID, Deployment: id, Error: withoutClass(cause), At: s.c.h.Now()}
		now.Failed = append(now.Failed, *now.Failure)
		now.Failed = now.Failed[max(0, len(now.Failed)-maxFailed):]
		return nil
	})
	return &stored.Value, err
}

// withoutClass gives the text of a failure, whose class the reader adds.
func withoutClass(err error) string {
	return strings.TrimPrefix(err.Error(), azml.ErrFailed.Error()+": ")
}

// ensure starts the deployments of the revision that are not running, one after
// the other, and tries their samples. With an error it gives the ID of the one that failed.
func (s *host) ensure(ctx context.Context, r *record.EndpointRevision) (failed string, err error) {
	for i := range r.Deployments {
		d := &r.Deployments[i]
		if s.running[d.ID] != nil {
			continue
		}
		one, err := s.launch(ctx, d)
		if err != nil {
			return d.ID, err
		}
		s.running[d.ID] = one
		if err := s.check(ctx, one, d); err != nil {
			s.drop(ctx, d.ID)
			return d.ID, err
		}
	}
	return "", nil
}

// check sends the deployment's sample request.
func (s *host) check(ctx context.Context, one *running, d *record.EndpointDeployment) error {
	if d.Sample == nil {
		return nil
	}
	s.progress(ctx, "trying the sample request on deployment %s", d.Name)
	one.said.Clear()
	status, answer, err := one.deployment.Check(ctx, d.Sample)
	if err != nil {
		return &startFailure{fmt.Errorf("%w: deployment %q failed in phase sample: %w%s", azml.ErrFailed, d.Name, err, one.lastWords())}
	}
	if status >= http.StatusBadRequest {
		return &startFailure{fmt.Errorf("%w: deployment %q failed in phase sample: the sample request was answered with %d %s: %s%s",
			azml.ErrFailed, d.Name, status, http.StatusText(status), answer, one.lastWords())}
	}
	return nil
}

// lastWords gives the last lines of the log, each in one of its own, without the time and
// the rest that is before a line's text there.
func (r *running) lastWords() string {
	var b strings.Builder
	for _, line := range r.said.Lines() {
		if _, text, formed := strings.Cut(line, "] azml"); formed { // else it is a further line of a text
			_, line, _ = strings.Cut(text, " - ")
		}
		b.WriteString("\n  | " + line)
	}
	return b.String()
}

// startFailure is a failure of what is deployed, not of what it is started with.
type startFailure struct{ cause error }

// Error gives the cause's text.
func (f *startFailure) Error() string { return f.cause.Error() }

// Unwrap gives the cause.
func (f *startFailure) Unwrap() error { return f.cause }

// route sends the requests to the deployments of the revision.
func (s *host) route(ctx context.Context, r *record.EndpointRevision) error {
	var routes []router.Route[*scoring.Deployment]
	var served []*running
	for _, d := range r.Deployments {
		served = append(served, s.running[d.ID])
		routes = append(routes, router.Route[*scoring.Deployment]{Name: d.Name, To: s.running[d.ID].deployment,
			Percent: r.Traffic[d.Name], Mirror: r.Mirror[d.Name]})
	}
	if err := s.scoring.SetRoutes(routes); err != nil {
		return err
	}
	s.served.Store(&served)
	s.note("revision %d is served: %s", r.Number, names(r))
	stats := s.stats()
	return s.tell(ctx, func(status *record.EndpointHost) {
		status.Revision, status.Deployments, status.Phase, status.Error = r.Number, stats, "", ""
	})
}

// retire ends what is not part of the revision; all when that is nil. Requests
// that it has are answered first.
func (s *host) retire(ctx context.Context, keep *record.EndpointRevision) {
	kept := map[string]bool{}
	if keep != nil {
		for _, d := range keep.Deployments {
			kept[d.ID] = true
		}
	}
	for id := range s.running {
		if !kept[id] {
			s.drop(ctx, id)
		}
	}
}

// drop ends one deployment in the background, when its requests have been
// answered; they get the time that one may take, but no more than ctx has.
func (s *host) drop(ctx context.Context, id string) {
	one := s.running[id]
	delete(s.running, id)
	until := time.Now().Add(one.longest + endTime)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), until)
	s.tasks.Go(func() {
		defer cancel()
		err := one.deployment.Close(ctx)
		storing, stop := context.WithTimeout(context.WithoutCancel(ctx), storeTime) // also when requests took all the time
		defer stop()
		if err = errors.Join(err, one.clear(storing)); err != nil {
			s.c.h.Logger().Warn("a deployment did not end in order", "endpoint", s.name, "deployment", one.deployment.Name(), "error", err)
		}
	})
}

// clear ends what the deployment had besides its replicas.
func (r *running) clear(ctx context.Context) (err error) {
	if r.collects != nil {
		err = r.collects.close(ctx)
	}
	if r.dir != nil {
		err = errors.Join(err, r.dir.remove())
	}
	return err
}

// launch starts a deployment.
func (s *host) launch(ctx context.Context, d *record.EndpointDeployment) (*running, error) {
	models, err := s.c.models(ctx, d.Models)
	if err != nil {
		return nil, err
	}
	one := &running{longest: milliseconds(d.ScoringTimeout)}
	if d.Collect != nil {
		if one.collects, err = s.newCollection(ctx, d, models); err != nil {
			return nil, err
		}
	}
	start, files, err := s.starter(ctx, d, models, one)
	if err == nil {
		s.progress(ctx, "starting deployment %s", d.Name)
		config := scoring.DeploymentConfig{Name: d.Name, Start: start, Scale: scaleOf(d),
			MaxConcurrent: s.slots(d), ScoringTimeout: milliseconds(d.ScoringTimeout), MaxQueueWait: milliseconds(d.MaxQueueWait),
			MaxQueue: d.MaxQueue, AtMostOnce: d.AtMostOnce, Service: s.name, SwaggerFiles: files, Logger: s.logger()}
		describe(&config, d, models)
		if one.collects != nil && one.collects.observes() {
			config.Observe = one.collects.observe
		}
		if one.deployment, err = scoring.StartDeployment(ctx, config); err != nil {
			err = &startFailure{fmt.Errorf("%w: deployment %q: %w", azml.ErrFailed, d.Name, err)}
		}
	}
	if err != nil {
		return nil, errors.Join(err, one.clear(ctx))
	}
	return one, nil
}

// starter gives what starts a replica of the deployment, and the script's folder.
func (s *host) starter(ctx context.Context, d *record.EndpointDeployment, models []*model.Model, one *running) (func(context.Context) (scoring.Scorer, error), fs.FS, error) {
	if d.Kind == kindHandler {
		scorer := s.inProcess(d, one)
		return func(context.Context) (scoring.Scorer, error) { return scorer, nil }, nil, nil
	}
	if d.ModelFormat == FormatONNX {
		start, err := s.loader(ctx, d, models, one)
		return start, nil, err
	}
	config, err := s.prepare(ctx, d, models, one)
	if err != nil {
		return nil, nil, err
	}
	start := func(ctx context.Context) (scoring.Scorer, error) {
		p, err := scoring.StartPython(ctx, config)
		if err != nil {
			return nil, err
		}
		return p, nil
	}
	if config.SourceDir == "" {
		return start, nil, nil
	}
	return start, os.DirFS(config.SourceDir), nil
}

// inProcess makes the scorer of a Go function.
func (s *host) inProcess(d *record.EndpointDeployment, one *running) scoring.Scorer {
	f, _ := s.function(d)
	if f.batch != nil {
		return scoring.BatchHandler(scoring.BatchFunc(f.batch), batching(d, 1))
	}
	scorer := scoring.HTTP(f.http)
	if f.handler != nil {
		scorer = scoring.Handler(scoring.HandlerFunc(f.handler))
	}
	if one.collects != nil {
		scorer = collecting{scorer, one.collects.Collector}
	}
	return scorer
}

// slots gives how many calls a replica of the deployment gets at once, 0 for any
// number: of what takes several requests together, how many batches.
func (s *host) slots(d *record.EndpointDeployment) int {
	if d.ModelFormat == FormatONNX {
		return batching(d, runtime.GOMAXPROCS(0)).Slots
	}
	if f, ok := s.function(d); ok && d.Kind == kindHandler && f.batch != nil {
		return batching(d, 1).Slots
	}
	return d.MaxConcurrent
}
