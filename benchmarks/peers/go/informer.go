package main

import (
	"context"
	"flag"
	"fmt"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

var widgets = schema.GroupVersionResource{Group: "bench.example.dev", Version: "v1", Resource: "widgets"}

// informer syncs N custom resources with the dynamic informer and then takes N updates.
func informer(arguments []string) (map[string]any, error) {
	flags := flag.NewFlagSet("informer", flag.ExitOnError)
	server := flags.String("server", "", "URL of a server without credentials")
	kubeconfig := flags.String("kubeconfig", "", "or a kubeconfig")
	objects := flags.Int64("objects", 20000, "how many objects and updates to expect")
	bodies := flags.Bool("bodies", false, "read every body once in the handler")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	config, err := configOf(*server, *kubeconfig)
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	baseCPU := cpuSeconds()
	factory := dynamicinformer.NewDynamicSharedInformerFactory(client, 0)
	shared := factory.ForResource(widgets).Informer()
	if err := shared.AddIndexers(cache.Indexers{"app": func(value any) ([]string, error) {
		return []string{value.(*unstructured.Unstructured).GetLabels()["app"]}, nil
	}}); err != nil {
		return nil, err
	}
	var updates, fields atomic.Int64
	done := make(chan struct{})
	read := func(value any) {
		if *bodies {
			fields.Add(int64(len(value.(*unstructured.Unstructured).Object)))
		}
	}
	registration, err := shared.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: read,
		UpdateFunc: func(_, value any) {
			read(value)
			if updates.Add(1) == *objects {
				close(done)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), shared.HasSynced, registration.HasSynced) {
		return nil, fmt.Errorf("the cache did not sync")
	}
	syncCPU, peak := cpuSeconds(), residentMB()
	steady := steadyMB()
	collected := cpuSeconds()
	if got := int64(len(shared.GetStore().ListKeys())); got != *objects {
		return nil, fmt.Errorf("%d objects are cached, not %d", got, *objects)
	}
	say("synced")
	<-done
	return map[string]any{
		"sync_cpu_s": syncCPU - baseCPU, "updates_cpu_s": cpuSeconds() - collected,
		"peak_mb": peak, "steady_mb": steady,
	}, nil
}

func configOf(server, kubeconfig string) (*rest.Config, error) {
	if server != "" {
		return &rest.Config{Host: server, QPS: -1}, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	return config, nil
}
