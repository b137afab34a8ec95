package scoring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/azml-go/azml/internal/openinference"
	"github.com/azml-go/azml/internal/router"
)

const (
	defaultTimeout  = 60 * time.Second
	defaultWait     = 500 * time.Millisecond
	defaultMaxQueue = 1000
	// defaultColdWait is how long a request waits where there may be no replica.
	defaultColdWait = time.Minute
)

// DeploymentConfig says what a Deployment consists of, and its limits.
type DeploymentConfig struct {
	// Name is the deployment's name.
	Name string
	// Start starts a replica and returns when it can take calls. All are of one
	// kind: the first one's traits count.
	Start func(ctx context.Context) (Scorer, error)
	// Scale says how many replicas there are; always one when zero.
	Scale router.Scale
	// MaxConcurrent bounds the calls under way in each replica; 0 is no limit.
	MaxConcurrent int
	// ScoringTimeout bounds one call of a scorer; default 60 seconds.
	ScoringTimeout time.Duration
	// MaxQueueWait is how long a request waits for a replica; default 500 ms,
	// or a minute when there may be none.
	MaxQueueWait time.Duration
	// MaxQueue is how many requests may wait at once; default 1000.
	MaxQueue int
	// AtMostOnce says that a call whose replica ended is not given to another
	// one, which may do once more what was done already.
	AtMostOnce bool
	// Service is the service's name in the swagger documents; default "ML
	// service".
	Service string
	// Version is the service's version there; default "1.0".
	Version string
	// PathPrefix stands before the paths in the swagger documents, for a
	// service that is mounted below a path.
	PathPrefix string
	// Schema describes input and output; default the first replica's.
	Schema *Schema
	// CheckInput, when not nil, tells what is wrong with the body of a POST request,
	// which is then refused with its text.
	CheckInput func(body []byte) error
	// CheckOutput, when not nil, tells what is wrong with an answer, which then fails.
	CheckOutput func(body []byte) error
	// Observe, when not nil, is shown each request that was scored and its answer,
	// before that is sent. It keeps neither.
	Observe func(req *Request, resp *Response)
	// Inputs are the tensors that the service takes by the Open Inference Protocol,
	// nil when nobody has said it.
	Inputs []openinference.TensorMetadata
	// Outputs are those that it gives.
	Outputs []openinference.TensorMetadata
	// SwaggerFiles is a folder in which swagger.json or swagger2.json,
	// swagger3.json and swagger3.1.json replace the generated documents; nil
	// is none. It is read at the start only.
	SwaggerFiles fs.FS
	// Logger gets the details of failed calls and what happens to replicas; nil
	// drops them.
	Logger *slog.Logger
}

func (c DeploymentConfig) withDefaults() DeploymentConfig {
	if c.Scale == (router.Scale{}) {
		c.Scale = router.Scale{Min: 1, Max: 1}
	}
	if c.ScoringTimeout <= 0 {
		c.ScoringTimeout = defaultTimeout
	}
	if c.MaxQueueWait <= 0 {
		c.MaxQueueWait = defaultWait
		if c.Scale.Min == 0 {
			c.MaxQueueWait = defaultColdWait
		}
	}
	if c.MaxQueue <= 0 {
		c.MaxQueue = defaultMaxQueue
	}
	if c.Service == "" {
		c.Service = "ML service"
	}
	if c.Version == "" {
		c.Version = "1.0"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Deployment is one version of a service: replicas of one kind with their queue
// and limits. It is safe for concurrent use.
type Deployment struct {
	cfg     DeploymentConfig
	loads   loads
	traits  Traits
	swagger *swaggerDocs
	counts  counts
	clocks  clocks
}

// StartDeployment starts the least number of replicas, one at least, and returns
// when they are ready. Errors: ErrInvalid, those of Start.
func StartDeployment(ctx context.Context, cfg DeploymentConfig) (*Deployment, error) {
	d := &Deployment{cfg: cfg.withDefaults()}
	traits := make(chan Traits, 1)
	start := func(ctx context.Context) (Scorer, error) {
		s, err := cfg.Start(ctx)
		if err == nil {
			select {
			case traits <- s.Traits():
			default: // the first one's count
			}
		}
		return s, err
	}
	d.loads.turn = newTurn()
	d.loads.life, d.loads.end = context.WithCancel(context.Background())
	d.loads.start = func(ctx context.Context) (*fleet, error) {
		return router.StartFleet(ctx, router.FleetConfig[Scorer]{Start: start, Limit: d.cfg.MaxConcurrent, MaxQueue: d.cfg.MaxQueue,
			MaxWait: d.cfg.MaxQueueWait, Scale: d.cfg.Scale, Logger: d.cfg.Logger})
	}
	err := d.Load(ctx)
	if err != nil {
		d.loads.end()
		return nil, err
	}
	d.traits = <-traits
	if d.cfg.Schema == nil {
		d.cfg.Schema = d.traits.Schema
	}
	if d.traits.Inputs != nil {
		d.cfg.Inputs, d.cfg.Outputs = d.traits.Inputs, d.traits.Outputs
	}
	if d.swagger, err = newSwaggerDocs(&d.cfg); err != nil {
		return nil, errors.Join(err, d.Close(ctx))
	}
	return d, nil
}

// Name gives the deployment's name.
func (d *Deployment) Name() string { return d.cfg.Name }

// The bounds of trying again within one request.
const (
	// maxStarts is how often a request that no replica has begun is given to
	// another one.
	maxStarts = 10
	// maxDeaths is how many replicas may end while they have a request before
	// it gets an error: a request that ends every replica must not end them all.
	maxDeaths = 2
)

// Score takes a replica and scores. The caller calls done when it has sent the
// response. A request whose replica ends waits for another for as long as
// scoring may take. When the scorer has not returned at the timeout, late is
// called, in another goroutine, and Score gives errLate whenever the scorer
// returns; without late it gives what that gave. Errors: those of router.Pool.Acquire and of the scorer.
func (d *Deployment) Score(ctx context.Context, req *Request, late func()) (resp *Response, done func(), err error) {
	if d.cfg.CheckInput != nil && req.Method == http.MethodPost {
		if err := d.cfg.CheckInput(req.Body); err != nil {
			return nil, nil, err
		}
	}
	starts, deaths := 0, 0
	var patience time.Duration
	for {
		replicas, lease, err := d.loads.acquire(ctx, patience)
		if err != nil {
			return nil, nil, err
		}
		resp, done, err = d.run(ctx, replicas, lease, req, late)
		switch {
		case err == nil:
			if err := d.checkOutput(resp); err != nil {
				done()
				return nil, nil, err
			}
			if d.cfg.Observe != nil {
				d.cfg.Observe(req, resp)
			}
			return resp, done, nil
		case errors.Is(err, errLate):
			return resp, done, err
		case errors.Is(err, errNotStarted):
			starts++
		case errors.Is(err, errWorkerDied) && !d.cfg.AtMostOnce:
			deaths++
			req.alone = true // others are not to suffer with it
		default:
			return nil, nil, err
		}
		if starts == maxStarts || deaths == maxDeaths {
			return nil, nil, err
		}
		patience = d.cfg.ScoringTimeout
	}
}

// checkOutput holds an answer that is whole against what the service says it
// gives.
func (d *Deployment) checkOutput(resp *Response) error {
	if d.cfg.CheckOutput == nil || resp.Stream != nil || resp.Failed || resp.Status != http.StatusOK {
		return nil
	}
	if err := d.cfg.CheckOutput(resp.Body); err != nil {
		return fmt.Errorf("the answer is not what the model's signature says: %v", err) //nolint:errorlint // it is not the client's fault
	}
	return nil
}

// errLate says that the request was answered before its scorer returned.
var errLate = errors.New("the scorer returned too late")

func nothing() {}

// run scores in the goroutine of the request, which costs no switch to another
// one; a clock answers late requests.
func (d *Deployment) run(ctx context.Context, replicas *fleet, lease *router.Lease[Scorer], req *Request, late func()) (*Response, func(), error) {
	limit := &limited{Context: ctx}
	req.limit = d.cfg.ScoringTimeout
	if req.begin = nil; d.traits.Ahead {
		req.begin = func() { d.begin(limit, late) }
	} else {
		d.begin(limit, late)
	}
	resp, err := safeScore(limit, lease.Replica, req)
	if err == nil && resp.Stream == nil {
		// Without room for its answer the replica gets no further request.
		err = req.share.need(limit, resp.size())
	}
	if !limit.clock.stop() {
		if resp != nil && resp.Stream != nil {
			_ = resp.Stream.Close() // nobody is left to tell
		}
		err = errLate
	}
	if err != nil || resp.Stream == nil {
		replicas.Release(lease)
		limit.end()
		return resp, nothing, err
	}
	return resp, func() {
		_ = resp.Stream.Close() // the answer was sent, or its client is gone
		replicas.Release(lease)
		limit.end()
	}, nil
}

// begin begins the time of a request.
func (d *Deployment) begin(limit *limited, late func()) {
	if ends := limit.begin(d.cfg.ScoringTimeout); late != nil {
		d.clocks.start(&limit.clock, ends, late)
	}
}

// safeScore turns a panic and an unusable status into errors.
func safeScore(ctx context.Context, scorer Scorer, req *Request) (resp *Response, err error) {
	defer func() {
		if v := recover(); v != nil {
			resp, err = nil, fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	resp, err = scorer.Score(ctx, req)
	if err != nil {
		return nil, err
	}
	if resp == nil {
		return nil, errors.New("the scorer gave neither a response nor an error")
	}
	if resp.Status == 0 {
		resp.Status = http.StatusOK
	}
	if resp.Status < 200 || resp.Status > 599 {
		if resp.Stream != nil {
			_ = resp.Stream.Close()
		}
		return nil, fmt.Errorf("the scorer's status %d is not an HTTP status of an answer", resp.Status)
	}
	return resp, nil
}
