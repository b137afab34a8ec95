package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/mask"
	"github.com/azml-go/azml/internal/record"
)

// Serving is what a script is to be served with while it runs.
type Serving struct {
	// MLflow says that MLflow's clients are led to the run.
	MLflow bool
	// Secrets are the values that the script may ask for, by lower-case name.
	Secrets map[string]string
	// Hidden are the secrets, to be masked in what the script logs.
	Hidden *mask.Secrets
}

// Tracking serves a script while it runs.
type Tracking struct {
	// Variables are the environment variables that lead the script there. They
	// hold a token: they go to the script and nowhere else.
	Variables map[string]string
	// Measuring tells whether MLflow's clients measure the machine; nil means that
	// none does.
	Measuring func() Measuring
	// Stop ends the serving, when the script has ended. It is called once.
	Stop func()
	// Finish makes durable what clients have logged, after Stop; what fails is
	// begun again. It gives how many points of the run are stored, by writer,
	// and the IDs of the runs that clients have made.
	Finish func(ctx context.Context) (points map[string]uint64, made []string, err error)
}

// Tracker begins to serve the script of the run.
type Tracker func(run record.Run, what Serving) (*Tracking, error)

// trackingURI is the variable that leads MLflow's clients somewhere.
const trackingURI = "MLFLOW_TRACKING_URI"

// startTracking serves the script its secrets, and its MLflow clients unless
// whoever submitted it sends them somewhere else.
func (d *drive) startTracking() error {
	what := Serving{Secrets: d.secrets, Hidden: d.hidden,
		MLflow: d.env.variables[trackingURI] == "" && d.run.Definition.Variables[trackingURI] == ""}
	if !what.MLflow && len(what.Secrets) == 0 {
		return nil
	}
	tracking, err := d.track(d.run, what)
	switch {
	case err == nil:
		d.tracking = tracking
	case len(what.Secrets) > 0:
		return d.systemError(fmt.Errorf("serve the script its secrets: %w", err))
	default:
		d.warn("MLflow clients of the script can't reach the workspace: %v", err)
	}
	return nil
}

// addTracking adds the variables that lead the script to what it is served with,
// and keeps proxies out of the way.
func (d *drive) addTracking(env map[string]string) {
	if d.tracking == nil {
		return
	}
	maps.Copy(env, d.tracking.Variables)
	const here = "127.0.0.1"
	proxied := false
	for name := range env {
		proxied = proxied || strings.HasSuffix(strings.ToLower(name), "_proxy")
	}
	if !proxied {
		return
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		if env[name] == "" {
			env[name] = here
		} else {
			env[name] += "," + here
		}
	}
}

// stopTracking ends the serving: the script has ended.
func (d *drive) stopTracking() {
	if d.tracking != nil {
		d.tracking.Stop()
	}
}

// finishTracking makes durable what MLflow's clients have logged.
func (d *drive) finishTracking(ctx context.Context) (err error) {
	if d.tracking == nil {
		return nil
	}
	d.tracked, d.made, err = d.tracking.Finish(ctx)
	return err
}

// endMade ends the runs that the script has made and left open.
func (d *drive) endMade(ctx context.Context) {
	for _, id := range d.made {
		made, err := history.Get(ctx, d.h, id)
		if err == nil {
			_, err = Reap(ctx, d.h, made)
		}
		if err != nil && !errors.Is(err, azml.ErrNotFound) {
			d.h.Logger().Warn("a run that a script has left open could not be ended yet", "run", id, "error", err)
		}
	}
}

// endWith ends a run that the script of another has made and left open, as soon
// as that run has ended, and in the same way: nobody is left who could say more
// of it.
func endWith(ctx context.Context, h core.Handle, run core.Stored[record.Run]) (core.Stored[record.Run], error) {
	maker, err := history.Get(ctx, h, run.Value.MadeIn)
	if err == nil {
		maker, err = Reap(ctx, h, maker)
	}
	switch {
	case errors.Is(err, azml.ErrNotFound):
		maker.Value.Status = record.Failed // it was deleted
	case err != nil:
		return run, err
	case !maker.Value.Status.Terminal():
		return run, nil
	}
	log, err := history.Metrics(h, run.Value)
	if err == nil {
		_, err = log.Recover(ctx)
	}
	if err != nil && !errors.Is(err, azml.ErrNotFound) {
		return run, err
	}
	return settle(ctx, h, run.Value.ID, history.Step{To: maker.Value.Status,
		Reason: fmt.Sprintf("the run %s, whose script has made this one, ended so", run.Value.MadeIn)})
}
