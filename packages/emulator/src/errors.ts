import {
  AccessDeniedException,
  DryRunOperationException,
  ExpiredIteratorException,
  ExpiredNextTokenException,
  InvalidArgumentException,
  KinesisServiceException,
  KMSAccessDeniedException,
  KMSDisabledException,
  KMSInvalidStateException,
  KMSNotFoundException,
  KMSOptInRequired,
  KMSThrottlingException,
  LimitExceededException,
  ProvisionedThroughputExceededException,
  ResourceInUseException,
  ResourceNotFoundException,
  ValidationException,
} from "@aws-sdk/client-kinesis";

const clientErrors = {
  AccessDeniedException,
  DryRunOperationException,
  ExpiredIteratorException,
  ExpiredNextTokenException,
  InvalidArgumentException,
  KMSAccessDeniedException,
  KMSDisabledException,
  KMSInvalidStateException,
  KMSNotFoundException,
  KMSOptInRequired,
  KMSThrottlingException,
  LimitExceededException,
  ProvisionedThroughputExceededException,
  ResourceInUseException,
  ResourceNotFoundException,
  ValidationException,
} as const;

/** Errors without a class in the SDK, which throws its base class with these names. */
const unmodelledErrors = {
  ExpiredTokenException: 400,
  InternalFailure: 500,
  SerializationException: 400,
  ServiceUnavailable: 503,
  ThrottlingException: 400,
  UnknownOperationException: 400,
  UnrecognizedClientException: 400,
} as const;

/** The names of the errors that the emulator can return. */
export type ServiceErrorName = keyof typeof clientErrors | keyof typeof unmodelledErrors;

/**
 * Creates an error as the SDK would throw it: class, `name`, `message`, `$fault` and `$metadata.httpStatusCode`.
 * `FakeKinesis` or the HTTP server adds the request id.
 */
export function serviceError(
  name: ServiceErrorName,
  message: string = `${name} (injected)`,
): KinesisServiceException {
  if (isClientError(name)) {
    return new clientErrors[name]({ message, $metadata: { httpStatusCode: 400 } });
  }
  const httpStatusCode = unmodelledErrors[name];
  if (httpStatusCode === undefined)
    throw new TypeError(`unknown service error '${name as string}'`);
  const $fault = httpStatusCode < 500 ? "client" : "server";
  return new KinesisServiceException({ name, message, $fault, $metadata: { httpStatusCode } });
}

function isClientError(name: ServiceErrorName): name is keyof typeof clientErrors {
  return Object.hasOwn(clientErrors, name);
}
