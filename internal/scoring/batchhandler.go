package scoring

import (
	"context"
	"encoding/json"
	"time"
)

// BatchFunc is a scoring function in Go that takes the inputs of several requests,
// each as HandlerFunc gets it, and gives as many answers in their order. An answer
// that is an error is that request's, see HandlerFunc.
type BatchFunc func(ctx context.Context, inputs []json.RawMessage) ([]any, error)

// BatchHandler makes a scorer of a Go function that answers several requests at
// once. It is always ready.
func BatchHandler(f BatchFunc, cfg Batching) Scorer {
	h := &batchHandler{f: f}
	h.batcher.Batching, h.batcher.run = cfg.withDefaults(), h.score
	return h
}

type batchHandler struct {
	f       BatchFunc
	batcher batcher[json.RawMessage, *Response]
}

// Ready gives nil: a function is always ready.
func (*batchHandler) Ready() error { return nil }

// Traits says that a request's time begins with its batch.
func (*batchHandler) Traits() Traits { return Traits{Ahead: true} }

// Close does nothing: a function has no end.
func (*batchHandler) Close(context.Context) error { return nil }

// Ahead implements router.Ahead: the next batch.
func (h *batchHandler) Ahead() int { return h.batcher.ahead() }

// Together implements router.Together.
func (h *batchHandler) Together() int { return h.batcher.together() }

// Score has the request scored with others.
func (h *batchHandler) Score(ctx context.Context, req *Request) (*Response, error) {
	input, err := jsonInput(req)
	if err != nil {
		return nil, err
	}
	return h.batcher.do(&member[json.RawMessage, *Response]{ctx: ctx, begin: req.begin, limit: req.limit, in: input, weight: 1, bytes: len(input), alone: req.alone})
}

// score calls the function.
func (h *batchHandler) score(ctx context.Context, inputs []json.RawMessage) ([]outcome[*Response], error) {
	began := time.Now()
	values, err := h.f(ctx, inputs)
	elapsed := max(time.Since(began), 1)
	if err != nil {
		return nil, ofUser(ctx, err)
	}
	outs := make([]outcome[*Response], len(values))
	for i, value := range values {
		if err, is := value.(error); is {
			outs[i].err = ofUser(ctx, err)
			continue
		}
		body, err := written(value)
		if err != nil {
			outs[i].err = err
			continue
		}
		outs[i].value = &Response{Header: jsonHeader, Body: body, Elapsed: elapsed}
	}
	return outs, nil
}
