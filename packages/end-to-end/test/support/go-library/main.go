// Reads a stream by the Go library github.com/harlow/kinesis-consumer, with its checkpoints in one of its
// stores, and prints "R shard data" for each record, with the number of an aggregate in the place of its data. Ends once no record has come for two seconds.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	consumer "github.com/harlow/kinesis-consumer"
	"github.com/harlow/kinesis-consumer/store/ddb"
	"github.com/harlow/kinesis-consumer/store/mysql"
	"github.com/harlow/kinesis-consumer/store/postgres"
	"github.com/harlow/kinesis-consumer/store/redis"
	goredis "github.com/redis/go-redis/v9"
)

const quiet = 2 * time.Second

func must(err error) {
	if err != nil {
		fmt.Println("FAIL", err)
		os.Exit(1)
	}
}

// The store, and what writes its last checkpoints.
func open(kind, application, address, table string, config aws.Config) (consumer.Store, func() error) {
	switch kind {
	case "postgres":
		store, err := postgres.New(application, table, address)
		must(err)
		return store, store.Shutdown
	case "mysql":
		store, err := mysql.New(application, table, address)
		must(err)
		return store, store.Shutdown
	case "redis":
		client := goredis.NewClient(&goredis.Options{Addr: address})
		store, err := redis.New(application, redis.WithClient(client))
		must(err)
		return store, func() error { return nil }
	case "dynamodb":
		client := dynamodb.NewFromConfig(config, func(o *dynamodb.Options) {
			o.EndpointResolver = dynamodb.EndpointResolverFromURL(address)
		})
		store, err := ddb.New(application, table, ddb.WithDynamoClient(client))
		must(err)
		return store, store.Shutdown
	}
	panic("unknown store: " + kind)
}

func main() {
	kind, application, stream, endpoint, address, table := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6]
	config := aws.Config{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("any", "any", "")}
	client := kinesis.NewFromConfig(config, func(o *kinesis.Options) {
		o.EndpointResolver = kinesis.EndpointResolverFromURL(endpoint)
	})
	store, shutdown := open(kind, application, address, table, config)
	reader, err := consumer.New(stream,
		consumer.WithStore(store),
		consumer.WithClient(client),
		consumer.WithShardIteratorType("TRIM_HORIZON"),
		consumer.WithScanInterval(100*time.Millisecond))
	must(err)

	ctx, cancel := context.WithCancel(context.Background())
	timer := time.AfterFunc(2*quiet, cancel)
	var mutex sync.Mutex
	err = reader.Scan(ctx, func(record *consumer.Record) error {
		mutex.Lock()
		defer mutex.Unlock()
		timer.Reset(quiet)
		data := string(record.Data)
		if strings.HasPrefix(data, "\xf3\x89\x9a\xc2") {
			data = *record.SequenceNumber
		}
		fmt.Println("R", record.ShardID, data)
		return nil
	})
	if err != nil && ctx.Err() == nil {
		fmt.Println("FAIL", err)
	}
	must(shutdown())
}
