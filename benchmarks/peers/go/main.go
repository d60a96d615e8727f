// Command peer does with client-go and controller-runtime what benchmarks/ does with controllerkit,
// and prints its own accounting of it as one line of JSON.
//
//	peer informer  --server URL --objects N [--bodies]
//	peer queue     --keys N
//	peer reconcile --kubeconfig FILE --objects N --workers N --label VALUE
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: peer informer|queue|reconcile [flags]"))
	}
	commands := map[string]func([]string) (map[string]any, error){
		"informer": informer, "queue": queue, "reconcile": reconciler,
	}
	command, found := commands[os.Args[1]]
	if !found {
		fail(fmt.Errorf("no command %q; there are informer, queue and reconcile", os.Args[1]))
	}
	figures, err := command(os.Args[2:])
	if err != nil {
		fail(err)
	}
	line, err := json.Marshal(figures)
	if err != nil {
		fail(err)
	}
	fmt.Println(string(line))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "peer:", err)
	os.Exit(1)
}

// cpuSeconds are the user and system seconds of this process so far.
func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fail(err)
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(usage.Utime) + seconds(usage.Stime)
}

// residentMB is what the process holds now.
func residentMB() float64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		fail(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	if err != nil {
		fail(err)
	}
	return float64(pages*os.Getpagesize()) / 1e6
}

// steadyMB is what the process holds once the collector has run and given back what it can: the kindest reading.
func steadyMB() float64 {
	runtime.GC()
	debug.FreeOSMemory()
	return residentMB()
}

// say tells the parent process that a step is reached, and waits for its answer on stdin.
func say(word string) {
	fmt.Println(word)
	var answer [16]byte
	if _, err := os.Stdin.Read(answer[:]); err != nil {
		fail(fmt.Errorf("the parent went: %w", err))
	}
}
