"""One seam to the outside each: stores, brokers, EPD, portal, on-call. Nothing else imports a driver."""
