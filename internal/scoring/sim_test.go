package scoring

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestSim(t *testing.T) {
	for _, clients := range []int{1, 2, 8, 64} {
		for _, wait := range []time.Duration{-1, 2 * time.Millisecond, 10 * time.Millisecond} {
			synctest.Test(t, func(t *testing.T) {
				n, batches := 0, 0
				scorer := BatchHandler(func(_ context.Context, inputs []json.RawMessage) ([]any, error) {
					time.Sleep(3*time.Millisecond + time.Duration(len(inputs))*50*time.Microsecond)
					n += len(inputs)
					batches++
					return make([]any, len(inputs)), nil
				}, Batching{Wait: wait}).(*batchHandler)
				begun := time.Now()
				for i := range clients {
					go func() {
						for time.Since(begun) < 10*time.Second {
							time.Sleep(time.Duration(100+37*i%200) * time.Microsecond)
							scorer.Score(t.Context(), &Request{Method: http.MethodPost, Body: []byte("1")})
						}
					}()
				}
				synctest.Wait()
				time.Sleep(20 * time.Second)
				fmt.Printf("clients %d wait %v: %d rps, mean batch %.2f, costs %v\n", clients, wait, n/10, float64(n)/float64(batches), scorer.batcher.costs)
			})
		}
	}
}
