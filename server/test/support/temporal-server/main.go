// A Temporal server in one process over one SQLite file: what the tests of the Temporal host run against.
//
//	temporal-server <database file> <namespace> <port of the frontend, or 0 for a free one>
//
// It prints `ready <address>` once it answers, and ends when its standard input does.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
	schema "go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
)

const (
	local = "127.0.0.1"
	store = "store"
	here  = "active"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		slog.Error("the Temporal server failed", "error", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: temporal-server <database file> <namespace> <port>")
	}
	file, namespace := args[0], args[1]
	port, err := strconv.Atoi(args[2])
	if err != nil {
		return fmt.Errorf("the port: %w", err)
	}
	free, err := freePorts(9)
	if err != nil {
		return err
	}
	if port == 0 {
		port = free[8]
	}
	settings := configured(file, port, free)
	if err := prepare(settings, file, namespace); err != nil {
		return err
	}
	server, err := temporal.NewServer(
		temporal.WithConfig(settings),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithLogger(log.NewNoopLogger()),
		temporal.WithCustomMetricsHandler(metrics.NoopMetricsHandler),
		// Without it, a server that was killed stays a member of its cluster for a minute after it was started again.
		temporal.WithStaticHosts(alone(settings)),
	)
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	address := net.JoinHostPort(local, strconv.Itoa(port))
	if err := answers(address, namespace); err != nil {
		return err
	}
	fmt.Println("ready", address)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return server.Stop()
}

func configured(file string, port int, free []int) *config.Config {
	settings := &config.Config{}
	settings.Global.Membership = config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: local}
	settings.Persistence = config.Persistence{
		DefaultStore: store, VisibilityStore: store, NumHistoryShards: 1,
		DataStores: map[string]config.DataStore{store: {SQL: &config.SQL{
			PluginName:        sqlite.PluginName,
			DatabaseName:      file,
			ConnectAttributes: map[string]string{"mode": "rwc", "_journal_mode": "WAL", "_synchronous": "NORMAL"},
		}}},
	}
	address := net.JoinHostPort(local, strconv.Itoa(port))
	settings.ClusterMetadata = &cluster.Config{
		FailoverVersionIncrement: 10, MasterClusterName: here, CurrentClusterName: here,
		ClusterInformation: map[string]cluster.ClusterInformation{
			here: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: address},
		},
	}
	settings.DCRedirectionPolicy = config.DCRedirectionPolicy{Policy: "noop"}
	settings.PublicClient = config.PublicClient{HostPort: address}
	settings.Archival.History.State, settings.Archival.Visibility.State = "disabled", "disabled"
	settings.NamespaceDefaults.Archival.History.State = "disabled"
	settings.NamespaceDefaults.Archival.Visibility.State = "disabled"
	settings.Services = map[string]config.Service{
		"frontend": service(port, free[0]),
		"history":  service(free[1], free[2]),
		"matching": service(free[3], free[4]),
		"worker":   service(free[5], free[6]),
	}
	return settings
}

func alone(settings *config.Config) map[primitives.ServiceName]static.Hosts {
	hosts := make(map[primitives.ServiceName]static.Hosts)
	for name, service := range settings.Services {
		hosts[primitives.ServiceName(name)] = static.SingleLocalHost(net.JoinHostPort(local, strconv.Itoa(service.RPC.GRPCPort)))
	}
	return hosts
}

func service(port, membership int) config.Service {
	return config.Service{RPC: config.RPC{GRPCPort: port, MembershipPort: membership, BindOnLocalHost: true}}
}

// prepare makes the tables and the namespace where they are missing.
func prepare(settings *config.Config, file, namespace string) error {
	sql := settings.Persistence.DataStores[store].SQL
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		if err := schema.SetupSchema(sql); err != nil {
			return fmt.Errorf("the tables: %w", err)
		}
	}
	named, err := schema.NewNamespaceConfig(here, namespace, false, nil)
	if err != nil {
		return err
	}
	return schema.CreateNamespaces(sql, named)
}

// answers waits until the frontend knows the namespace.
func answers(address, namespace string) error {
	connection, err := client.NewLazyClient(client.Options{HostPort: address, Namespace: namespace})
	if err != nil {
		return err
	}
	defer connection.Close()
	for until := time.Now().Add(2 * time.Minute); ; {
		limited, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		_, err = connection.CheckHealth(limited, &client.CheckHealthRequest{})
		if err == nil {
			_, err = connection.CountWorkflow(limited, &workflowservice.CountWorkflowExecutionsRequest{})
		}
		cancel()
		if err == nil || time.Now().After(until) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// freePorts holds all of them open until the last is found, so that none is found twice.
func freePorts(count int) ([]int, error) {
	ports := make([]int, 0, count)
	for range count {
		listener, err := net.Listen("tcp", net.JoinHostPort(local, "0"))
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
