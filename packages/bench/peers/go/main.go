// The loop that one writes by hand over AWS's SDK for Go: all shards at once, each page after the other.
// Arguments: the endpoint, how many shards, how many pages of each, the server's certificate in PEM or "", and an
// interval in milliseconds. Each line of standard input is a round; each line of standard output is what it cost.
// With an interval, the line "poll" begins to poll each shard once in so long; each line is answered with the CPU so far.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

const connections = 50

type cost struct {
	Records   int64 `json:"records"`
	CPUMicros int64 `json:"cpuMicros"`
}

func main() {
	endpoint, shards, pages, certificate := os.Args[1], number(os.Args[2]), number(os.Args[3]), os.Args[4]
	client := open(endpoint, certificate)
	interval := time.Duration(number(os.Args[5])) * time.Millisecond
	lines := bufio.NewScanner(os.Stdin)
	for interval > 0 && lines.Scan() {
		if lines.Text() == "poll" {
			for shard := range shards {
				go poll(client, shardID(shard), interval)
			}
		}
		printCost(cost{0, cpuMicros()})
	}
	for lines.Scan() {
		iterators := firstPages(client, shards)
		before := cpuMicros()
		records := round(client, iterators, pages-1)
		printCost(cost{records, cpuMicros() - before})
	}
}

func printCost(of cost) {
	line, err := json.Marshal(of)
	check(err)
	fmt.Println(string(line))
}

func open(endpoint string, certificate string) *kinesis.Client {
	transport := awshttp.NewBuildableClient().WithTransportOptions(func(options *http.Transport) {
		options.MaxIdleConnsPerHost = connections
		options.MaxConnsPerHost = connections
		if certificate != "" {
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM([]byte(certificate))
			options.TLSClientConfig = &tls.Config{RootCAs: roots}
		}
	})
	return kinesis.New(kinesis.Options{
		BaseEndpoint: aws.String(endpoint),
		Region:       "us-east-1",
		HTTPClient:   transport,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "bench", SecretAccessKey: "bench"}, nil
		}),
	})
}

// firstPages reads a page of each shard, which is not measured, and returns where the next ones begin.
func firstPages(client *kinesis.Client, shards int) []*string {
	iterators := make([]*string, shards)
	forEach(shards, func(shard int) {
		iterators[shard] = getRecords(client, firstIterator(client, shardID(shard))).NextShardIterator
	})
	return iterators
}

func round(client *kinesis.Client, iterators []*string, pages int) int64 {
	var handled atomic.Int64
	forEach(len(iterators), func(shard int) {
		readShard(client, iterators[shard], pages, &handled)
	})
	return handled.Load()
}

// forEach calls do for all shards at once, and waits for it.
func forEach(shards int, do func(shard int)) {
	var all sync.WaitGroup
	for shard := range shards {
		all.Add(1)
		go func() {
			defer all.Done()
			do(shard)
		}()
	}
	all.Wait()
}

func shardID(shard int) string {
	return fmt.Sprintf("shardId-%012d", shard)
}

func firstIterator(client *kinesis.Client, shardID string) *string {
	first, err := client.GetShardIterator(context.Background(), &kinesis.GetShardIteratorInput{
		StreamName:        aws.String("bench"),
		ShardId:           aws.String(shardID),
		ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	check(err)
	return first.ShardIterator
}

func getRecords(client *kinesis.Client, iterator *string) *kinesis.GetRecordsOutput {
	page, err := client.GetRecords(context.Background(), &kinesis.GetRecordsInput{
		ShardIterator: iterator,
		Limit:         aws.Int32(10_000),
	})
	check(err)
	return page
}

func poll(client *kinesis.Client, shardID string, interval time.Duration) {
	iterator := firstIterator(client, shardID)
	for tick := time.NewTicker(interval); ; <-tick.C {
		iterator = getRecords(client, iterator).NextShardIterator
	}
}

func readShard(client *kinesis.Client, iterator *string, pages int, handled *atomic.Int64) {
	for range pages {
		page := getRecords(client, iterator)
		for range page.Records {
			handled.Add(1)
		}
		iterator = page.NextShardIterator
	}
}

// cpuMicros is the CPU time of this process, user and system, in microseconds.
func cpuMicros() int64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	micros := func(time syscall.Timeval) int64 { return int64(time.Sec)*1_000_000 + int64(time.Usec) }
	return micros(usage.Utime) + micros(usage.Stime)
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
