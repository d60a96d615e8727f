package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

var widgetKind = schema.GroupVersionKind{Group: "bench.example.dev", Version: "v1", Kind: "Widget"}

type counter struct {
	http.RoundTripper
	writes *atomic.Int64
}

func (c counter) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method != http.MethodGet {
		c.writes.Add(1)
	}
	return c.RoundTripper.RoundTrip(request)
}

type widgetReconciler struct {
	client.Client
	passes atomic.Int64
	done   atomic.Int64
}

// Reconcile makes a ConfigMap for the Widget and then says in its status that it did.
func (r *widgetReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	r.passes.Add(1)
	widget := &unstructured.Unstructured{}
	widget.SetGroupVersionKind(widgetKind)
	if err := r.Get(ctx, request.NamespacedName, widget); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	text, _, _ := unstructured.NestedString(widget.Object, "spec", "text")
	child := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: widget.GetName(), Namespace: widget.GetNamespace()}}
	if _, err := controllerutil.CreateOrUpdate(ctx, r.Client, child, func() error {
		child.Data = map[string]string{"text": text}
		return controllerutil.SetControllerReference(widget, child, r.Scheme())
	}); err != nil {
		return ctrl.Result{}, err
	}
	phase, _, _ := unstructured.NestedString(widget.Object, "status", "phase")
	if phase == "Ready" {
		return ctrl.Result{}, nil
	}
	if err := unstructured.SetNestedField(widget.Object, "Ready", "status", "phase"); err != nil {
		return ctrl.Result{}, err
	}
	if err := r.Status().Update(ctx, widget); err != nil {
		return ctrl.Result{}, err
	}
	r.done.Add(1)
	return ctrl.Result{}, nil
}

// reconciler runs the operator until N Widgets are ready, and then for two quiet seconds.
func reconciler(arguments []string) (map[string]any, error) {
	flags := flag.NewFlagSet("reconcile", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "the server")
	objects := flags.Int64("objects", 1000, "how many Widgets to wait for")
	workers := flags.Int("workers", 1, "how many are reconciled at once")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	ctrl.SetLogger(logr.Discard())
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	var writes atomic.Int64
	config.Wrap(func(inner http.RoundTripper) http.RoundTripper { return counter{inner, &writes} })
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, err
	}
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Metrics: server.Options{BindAddress: "0"},
		Client: client.Options{Cache: &client.CacheOptions{Unstructured: true}},
	})
	if err != nil {
		return nil, err
	}
	primary := &unstructured.Unstructured{}
	primary.SetGroupVersionKind(widgetKind)
	reconciling := &widgetReconciler{Client: manager.GetClient()}
	err = ctrl.NewControllerManagedBy(manager).Named("widget").For(primary).Owns(&corev1.ConfigMap{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: *workers}).Complete(reconciling)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	failed := make(chan error, 1)
	baseCPU, began := cpuSeconds(), time.Now()
	go func() { failed <- manager.Start(ctx) }()
	for reconciling.done.Load() < *objects {
		select {
		case err := <-failed:
			return nil, fmt.Errorf("the manager ended: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	elapsed, cpu := time.Since(began), cpuSeconds()-baseCPU
	time.Sleep(2 * time.Second)
	return map[string]any{
		"wall_s": elapsed.Seconds(), "cpu_s": cpu, "quiet_cpu_s": cpuSeconds() - baseCPU - cpu, "writes": writes.Load(),
		"passes": reconciling.passes.Load(), "resident_mb": residentMB(),
	}, nil
}
