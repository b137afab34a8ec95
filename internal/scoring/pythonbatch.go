package scoring

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errBatchFailed says that run_batch() failed for all of its inputs.
var errBatchFailed = errors.New("run_batch() failed; the script's log has the details")

// batches has requests sent together, if the script can take that.
func (p *Python) batches(w *worker) {
	cfg := p.cfg.Batching.withDefaults()
	if !w.hello.Batch || cfg.Most == 1 {
		return
	}
	cfg.Slots = 1
	p.batcher = &batcher[*Request, *Response]{Batching: cfg, run: p.scoreBatch}
}

// Together gives how many requests are sent in the time of one, see router.Together.
func (p *Python) Together() int {
	if p.batcher == nil {
		return 1
	}
	return p.batcher.together()
}

// together has a request scored with others.
func (p *Python) together(ctx context.Context, req *Request) (*Response, error) {
	return p.batcher.do(&member[*Request, *Response]{ctx: ctx, begin: req.begin, limit: req.limit, in: req, weight: 1, bytes: len(req.Body), alone: req.alone})
}

// scoreBatch runs run_batch() for several requests, run() for one.
func (p *Python) scoreBatch(ctx context.Context, requests []*Request) ([]outcome[*Response], error) {
	joined := *requests[0]
	joined.begin = nil // that was done
	if len(requests) == 1 {
		resp, err := p.score(ctx, &joined)
		return []outcome[*Response]{{resp, err}}, nil
	}
	joined.Body, joined.batch = nil, make([]int, len(requests))
	for i, req := range requests {
		joined.Body, joined.batch[i] = append(joined.Body, req.Body...), len(req.Body)
	}
	resp, err := p.score(ctx, &joined)
	switch {
	case err != nil:
		return nil, err
	case len(resp.parts) == 0:
		return nil, errBatchFailed
	}
	return p.parts(resp)
}

// parts takes the answer to a batch apart.
func (p *Python) parts(resp *Response) ([]outcome[*Response], error) {
	outs := make([]outcome[*Response], len(resp.parts))
	rest := resp.Body
	for i := range resp.parts {
		one := &resp.parts[i]
		if one.Length < 0 || one.Length > len(rest) {
			return nil, fmt.Errorf("%w: the answers of a batch are longer than their frame", errFrame)
		}
		if one.Broken {
			outs[i].err = errors.New("the response that run_batch() returned can't be read")
		}
		outs[i].value = &Response{Status: one.Status, Header: one.header(), Body: rest[:one.Length:one.Length], Elapsed: time.Duration(one.Nanos), Failed: one.Failed}
		rest = rest[one.Length:]
	}
	return outs, nil
}
