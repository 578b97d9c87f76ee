import fc from 'fast-check'

/**
 * `npm run check` gives each law a tenth of a second, and at least one try; `npm test` gives it all its tries. Loaded before
 * the tests.
 */
fc.configureGlobal({ interruptAfterTimeLimit: 100, markInterruptAsFailure: false })
