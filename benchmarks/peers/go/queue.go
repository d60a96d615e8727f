package main

import (
	"flag"
	"fmt"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
)

type key struct{ namespace, name string }

// queue fills and drains client-go's typed rate-limiting queue, takes keys through it one by one, and does the
// same with controller-runtime's priority queue; keys per second.
func queue(arguments []string) (map[string]any, error) {
	flags := flag.NewFlagSet("queue", flag.ExitOnError)
	count := flags.Int("keys", 100000, "how many keys")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	keys := make([]key, *count)
	for n := range keys {
		keys[n] = key{fmt.Sprintf("team-%d", n%20), fmt.Sprintf("widget-%06d", n)}
	}
	rate := func(work func()) float64 {
		began := time.Now()
		work()
		return float64(*count) / time.Since(began).Seconds()
	}
	plain := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[key]())
	prioritised := priorityqueue.New[key]("bench")
	return map[string]any{
		"fill_drain_per_s": rate(func() {
			for _, each := range keys {
				plain.Add(each)
			}
			for range keys {
				each, _ := plain.Get()
				plain.Done(each)
			}
		}),
		"one_by_one_per_s": rate(func() {
			for _, each := range keys {
				plain.Add(each)
				got, _ := plain.Get()
				plain.Done(got)
			}
		}),
		"priority_fill_drain_per_s": rate(func() {
			for n, each := range keys {
				priority := n % 3
				prioritised.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, each)
			}
			for range keys {
				each, _, _ := prioritised.GetWithPriority()
				prioritised.Forget(each)
				prioritised.Done(each)
			}
		}),
	}, nil
}
