package azureblob

import (
	"context"
	"net/http/httptrace"
	"sync/atomic"
)

// counting gives a context for one call, and what tells how often the call was
// begun to be sent. With more than once, the effect that a write meets may be
// its own.
func counting(ctx context.Context) (context.Context, func() int) {
	var tries atomic.Int32
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { tries.Add(1) }}
	return httptrace.WithClientTrace(ctx, trace), func() int { return int(tries.Load()) }
}
