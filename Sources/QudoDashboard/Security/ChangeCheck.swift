#if Dashboard
/// Refuses changes that the user did not ask for: a request that another site's page had the browser send.
enum ChangeCheck {
  /// Returns why a change is refused; nil if it may be made.
  ///
  /// - Parameter origins: Origins that are accepted in addition to that of the request's own host.
  static func refusal(_ request: SiteRequest, _ sessions: Sessions, session: String, origins: Set<String>)
    -> String?
  {
    if let site = request.fetchSite, site != "same-origin" {
      return "The request came from another site."
    }
    // A proxy may give all pages a `Referrer-Policy: no-referrer`, and browsers then send `Origin: null` with their forms (Fetch,
    // "append a request Origin header"). Then `Sec-Fetch-Site` decides, which no page can set.
    if request.origin == "null" {
      guard request.fetchSite != nil else {
        return "The browser does not say which page the request came from."
      }
    } else if let origin = request.origin {
      guard origins.contains(origin) || isOwn(origin, host: request.host) else {
        return "The request came from another site."
      }
    } else if request.fetchSite == nil {
      return "The request does not say which page it came from."
    }
    guard let token = request.form["csrf"], sessions.isFormToken(token, of: session) else {
      return "The form is not of this session."
    }
    return nil
  }

  private static func isOwn(_ origin: String, host: String?) -> Bool {
    guard let host, !host.isEmpty else { return false }
    return ["http://\(host)", "https://\(host)"].contains { $0.lowercased() == origin.lowercased() }
  }
}
#endif
