/** How to create the table, for error messages. */
export function tableDefinition(table: string): string {
  const name = table.split("/").at(-1);
  return `Run \`await store.setup()\` once with the right to create tables, or deploy (CloudFormation):
  Checkpoints:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: Retain
    UpdateReplacePolicy: Retain
    Properties:
      TableName: ${name}
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions:
        - { AttributeName: namespace, AttributeType: S }
        - { AttributeName: shard_id, AttributeType: S }
      KeySchema:
        - { AttributeName: namespace, KeyType: HASH }
        - { AttributeName: shard_id, KeyType: RANGE }`;
}
